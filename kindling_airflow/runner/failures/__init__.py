"""Explains why a pipe failed, and whether a retry can help."""
