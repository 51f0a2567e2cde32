"""A summary to the report page, its headline, tables, charts and the terminal's tables."""
