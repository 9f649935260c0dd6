"""Tests of table formats: each file in a process of its own, whose Spark has the format's jars."""
