"""The two commands: options walk in, calls go out, results are printed. Nothing is decided here."""
