"""Projects that do to their process what a project can do, beside one good project."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.dag_factory.projects import write_definition, write_project

DROP_IN = Path(__file__).parents[2] / "dags" / "kindling_dags.py"

DECLARE = """
from kindling_airflow import DataPipes

@DataPipes.pipe("{name}.p", output_entity_id="{name}.out")
def p(): ...
"""


@dataclass(frozen=True)
class Kind:
    """What a module of a project does.

    Attributes:
        source: what it does before it declares its pipe.
        error: what the import error of its definition has; empty where its DAG is there.
        tasks: the tasks of its DAG, where that is more than its own pipe.
        more: further files.
    """

    source: str
    error: str = ""
    more: tuple[tuple[str, str], ...] = ()
    tasks: tuple[str, ...] = ()


KINDS = {
    "hangs": Kind("import time\ntime.sleep(6000)", "did not end within"),
    "is_busy": Kind("while True:\n    pass", "did not end within"),
    "waits_for_a_lock": Kind(
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
        "did not end within",
    ),
    "ignores_signals": Kind(
        "import signal, time\n"
        "for name in ('SIGALRM', 'SIGTERM', 'SIGINT', 'SIGHUP'):\n"
        "    signal.signal(getattr(signal, name), signal.SIG_IGN)\n"
        "time.sleep(6000)",
        "did not end within",
    ),
    "leaves": Kind("import os\nos._exit(0)", "ended its process with exit code 0"),
    "becomes_another_program": Kind(
        "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'pass'])",
        "ended its process with exit code 0",
    ),
    "crashes": Kind(
        "import ctypes\nctypes.string_at(0)",
        "was killed by SIGSEGV",
    ),
    "ends_its_process_group": Kind(
        "import os, signal\nos.killpg(0, signal.SIGTERM)", "was killed by SIGTERM"
    ),
    "interrupts": Kind("raise KeyboardInterrupt", "failed to import: KeyboardInterrupt"),
    "skips": Kind(
        "import pytest\npytest.importorskip('no_such_package')", "failed to import: Skipped"
    ),
    "ends_a_generator": Kind("raise GeneratorExit", "failed to import: GeneratorExit"),
    "exits": Kind("raise SystemExit('no')", "failed to import: SystemExit: no"),
    "is_late_for_airflow": Kind(
        "from airflow.sdk.exceptions import AirflowTaskTimeout\nraise AirflowTaskTimeout('late')",
        "failed to import: AirflowTaskTimeout: late",
    ),
    "has_no_words": Kind(
        "class Mute(Exception):\n    def __str__(self):\n        raise ValueError\nraise Mute",
        "Mute",
    ),
    "has_many_words": Kind("raise ValueError('x' * 10_000_000)", "characters more"),
    "prints": Kind("import os\nprint('x' * 10_000_000)\nos.write(2, b'y' * 5_000_000)"),
    "leaves_a_thread": Kind(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(6000,)).start()"
    ),
    "forks": Kind("import os, time\nif os.fork() == 0:\n    time.sleep(6000)"),
    "answers_twice": Kind("import os\nos.fork()"),
    "changes_its_process": Kind(
        "import gc, locale, os, sys\n"
        "os.chdir('/')\nos.umask(0o777)\nos.environ.clear()\ndel sys.path[1:]\n"
        "locale.setlocale(locale.LC_ALL, 'C')\nsys.setrecursionlimit(100_000)\ngc.disable()\n"
        "os.environ['PATH'] = '/nowhere'"
    ),
    "patches": Kind(
        "import builtins, json, os, traceback\n"
        "json.loads = os._exit = traceback.format_exc = None\n"
        "builtins.print = None",
    ),
    "forgets_modules": Kind(
        "import sys\nfor name in ('os', 'json', 'airflow', 'pathlib', 'typing'):\n"
        "    sys.modules.pop(name, None)"
    ),
    "forgets_this_package": Kind(
        "import sys\nfor name in [n for n in sys.modules if n.startswith('kindling')]:\n"
        "    del sys.modules[name]",
        "the plan has no pipes",
    ),
    "closes_its_output": Kind(
        "import os, sys\nsys.stdout.close()\nsys.stderr.close()\nos.close(1)\nos.close(2)"
    ),
    "closes_everything": Kind("import os\nos.closerange(0, 4096)", "the import of project"),
    "reads_its_input": Kind("import sys\nassert not sys.stdin.read()"),
    "recurs": Kind("def f():\n    f()\nf()", "RecursionError"),
    "takes_memory": Kind("x = bytearray(1 << 60)", "MemoryError"),
    "is_no_python": Kind("def broken(:", "SyntaxError"),
    "is_of_a_taken_name": Kind(
        "import json", "is shadowed by the installed module", (("json.py", ""),)
    ),
    "goes_in_circles": Kind(
        "from other import late",
        "ImportError",
        (("other.py", "import pipes_of_it\nlate = pipes_of_it.p\n"),),
    ),
    "takes_the_neighbours": Kind(
        "import sys\nfrom pathlib import Path\n"
        "sys.path.insert(0, str(Path(__file__).parents[1] / 'good'))\n"
        "import pipes_drawn\npipes_drawn.DataPipes = None",
        tasks=("a", "takes_the_neighbours.p", "b"),
    ),
    "warns": Kind(
        "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('at import')", "UserWarning"
    ),
}  # fmt: skip


def write_folder(folder: Path, kinds: dict[str, Kind] = KINDS) -> Path:
    """Make a DAGs folder with a good project and the others, each with its definition."""
    folder.mkdir(parents=True)
    shutil.copy(DROP_IN, folder)
    write_project(folder / "good", "a -> b")
    write_definition(folder / "good.kindling.yaml", "dag_id: good\nproject: good\n")
    add_kinds(folder, kinds)
    return folder


def add_kinds(folder: Path, kinds: dict[str, Kind] = KINDS) -> None:
    """Put misbehaving projects into a DAGs folder, each with its definition."""
    if kinds:
        (folder / "broken_yaml.kindling.yaml").write_text("dag_id: [\n")
        (folder / "is_binary").mkdir()
        (folder / "is_binary" / "pipes_of_it.py").write_bytes(b"x = '\xff\xfe'\n")
        text = "dag_id: is_binary\nproject: is_binary\n"
        write_definition(folder / "is_binary.kindling.yaml", text)
    for name, kind in kinds.items():
        project = folder / name
        project.mkdir()
        source = f"{kind.source}\n{DECLARE.format(name=name)}"
        (project / "pipes_of_it.py").write_text(source)
        for file, text in kind.more:
            (project / file).write_text(text)
        write_definition(folder / f"{name}.kindling.yaml", f"dag_id: {name}\nproject: {name}\n")
