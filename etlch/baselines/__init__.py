"""Predict the test set of a run without the tuned model: what fills the rows beside it."""
