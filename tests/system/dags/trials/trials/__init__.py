"""Pipes that behave badly on demand, for the system tests."""
