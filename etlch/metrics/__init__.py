"""One gold and one predicted text to rows of numbers."""
