"""Check a run, measure its data, write its quality page and data set card."""
