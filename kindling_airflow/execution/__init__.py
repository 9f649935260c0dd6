"""The parts of :mod:`kindling_airflow.generation_executor`: a plan run in one process.

problems      what is wrong with a call, told at once
settings      what the caller, the tags and the overrides say, resolved before anything runs
runners       what an executor asks of the callable that runs a pipe, and what it may return
threads       time and threads, behind a seam
announcer     signals and log lines of one execution
sharing       entities that several pipes read, kept between them
halves        the streams of a plan, and what of it runs to its end
tries         slots, time limits and retries of the pipes that run
batch         runs a plan to its end
stream_calls  calls of streams that may take for ever
stream_books  what becomes of streams, written down and told
streams       starts, watches and stops the streams of a plan
"""
