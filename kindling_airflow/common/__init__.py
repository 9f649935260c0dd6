"""Small helpers that all rooms share; they use only the standard library."""
