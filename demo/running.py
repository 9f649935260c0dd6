"""What every demo does around its own work: end by an error, by Ctrl-C, or stay up until then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from rich.console import Console

from kindling_airflow.cli.interrupts import INTERRUPTED, interruptible
from kindling_airflow.errors import KindlingAirflowError

__all__ = ["run_demo", "show_run_and_stay"]


def run_demo(console: Console, demo: Callable[[], int]) -> int:
    """Run a demo; return the exit status."""
    try:
        with interruptible():
            return demo()
    except KindlingAirflowError as error:
        console.print(f"[red]The demo failed:[/red] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return INTERRUPTED


def show_run_and_stay(console: Console, address: str, what: str) -> None:
    """Show where a run is in the UI, and wait for Ctrl-C unless DEMO_ONCE is 1.

    Args:
        console: shows it.
        address: the run's page.
        what: the beginning of a sentence: what runs until Ctrl-C, with its verb.
    """
    console.print(f"\nThe run in the UI: [bold]{address}[/bold]", highlight=False, soft_wrap=True)
    if os.environ.get("DEMO_ONCE") != "1":
        console.print(f"{what} until Ctrl-C (DEMO_ONCE=1 ends here).")
        while True:
            time.sleep(3600)
