"""Evaluates a pipe's expectations on what is staged, before it is published.

    result --(drop: counted and filtered while it is staged)--> staged --(one aggregate)--> verdict

Rows that are to be dropped are counted on their way into the files, by an observation: it costs no
pass, and they could not be counted later. Everything else is counted in the staged files, by one
aggregate that reads the columns it needs, once: what was counted is what will be published.
"""

from kindling_airflow.runner.quality.audit import Audit

__all__ = ["Audit"]
