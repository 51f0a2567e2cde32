"""Wing 2: predictions walk in; rows, scores, tests and a report walk out."""
