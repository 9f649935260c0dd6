"""Pipes as streams: a query that runs until it is asked to end, from a checked checkpoint.

start_stream    a query in a shared session
run_stream      a query in its own driver, until the end
"""

from kindling_airflow.runner.streaming.driver import run_stream
from kindling_airflow.runner.streaming.running import RunningStream
from kindling_airflow.runner.streaming.start import start_stream

__all__ = ["RunningStream", "run_stream", "start_stream"]
