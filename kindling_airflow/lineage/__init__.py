"""Lineage that other tools read: which columns a result comes from, and what a dataset is called.

A driver finds the columns in Spark's analyzed plan and puts them into its report; the task makes
OpenLineage's facets of it. Nothing here knows Spark or OpenLineage.
"""
