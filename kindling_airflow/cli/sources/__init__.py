"""Reads what a command works on, manifest and plan, from whatever its argument names."""
