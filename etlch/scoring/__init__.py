"""Prediction files to summary.json."""
