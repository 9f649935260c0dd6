"""Run the benchmarks, or those named: ``python -m benchmarks [planning ...]``.

Those on a real scheduler or on servers take minutes, and run when they are named.
"""

from __future__ import annotations

import platform
import sys
from importlib import import_module

from rich.console import Console

BENCHMARKS = ("planning", "compiling", "worker_parse", "dag_size", "makespan")
ON_A_SCHEDULER = (
    *("overhead", "shared_session", "shared_session_flights", "shared_session_heavy"),
    *("stream_startup", "on_postgresql"),
)
WITH_SERVERS = ("publish_on_s3",)


def main(names: list[str]) -> int:
    """Run the benchmarks and print their tables."""
    known = (*BENCHMARKS, *ON_A_SCHEDULER, *WITH_SERVERS)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"Python {platform.python_version()}, {platform.machine()}")
    for name in names or BENCHMARKS:
        import_module(f"benchmarks.{name}").run(console)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
