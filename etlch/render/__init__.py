"""HTML and plots: the only package that knows matplotlib."""
