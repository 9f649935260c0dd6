"""Columns that are there against columns that are declared."""
