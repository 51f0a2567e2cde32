"""Pure measurement: gold and predicted texts walk in; rows, scores, intervals and p-values walk out."""
