"""Documents and candidates to records: chunking, grounding, near copies, splits."""
