"""Build records from articles: read and chunk documents, ground facts, find near copies, split."""
