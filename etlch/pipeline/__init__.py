"""One module for each `etlch-data` command, from settings to files."""
