"""Rows to intervals and tests; numpy and scipy only."""
