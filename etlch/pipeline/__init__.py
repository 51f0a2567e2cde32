"""Run each `etlch-data` command from settings to files, one module a command."""
