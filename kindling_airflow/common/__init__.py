"""Small helpers of every room, on the standard library alone."""
