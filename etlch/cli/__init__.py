"""The commands: options in, calls out, results printed."""
