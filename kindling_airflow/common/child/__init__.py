"""Calls of functions in child processes."""
