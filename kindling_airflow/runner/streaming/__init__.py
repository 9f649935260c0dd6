"""Pipes as streams: a query that runs until it is told to end, from a checkpoint that is watched.

start_stream    a query in a session that somebody else looks after
run_stream      a query in a driver of its own, until the end
"""

from kindling_airflow.runner.streaming.driver import run_stream
from kindling_airflow.runner.streaming.running import RunningStream
from kindling_airflow.runner.streaming.start import start_stream

__all__ = ["RunningStream", "run_stream", "start_stream"]
