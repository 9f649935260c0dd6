"""Files that others write: CSV and JSON, read as sources."""
