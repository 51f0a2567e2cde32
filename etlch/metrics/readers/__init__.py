"""Prediction and gold files in the layouts that other programs write, recognised by their content."""
