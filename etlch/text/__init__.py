"""Normal forms of text, numerals, where a value stands, JSON in model output."""
