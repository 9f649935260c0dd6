"""What the docs start with everyone as an admin listens on the loopback interface alone."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(?:bash|console|sh|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SERVER = re.compile(r"\bairflow (?:standalone|api-server)\b")
LOOPBACK = re.compile(r"AIRFLOW__API__HOST=['\"]?(?:127\.0\.0\.1|localhost)\b|--host 127\.0\.0\.1")
SCRIPT = re.compile(r"^(?:\$ )?(?:\.|source) (\./)?(?P<name>[\w./-]+\.sh)$", re.MULTILINE)


def starts() -> list[tuple[str, str]]:
    """Return each block of the docs, and each script, that starts a server."""
    blocks = [
        (f"{page.relative_to(ROOT)}", block)
        for page in PAGES
        for block in BLOCK.findall(page.read_text("utf-8"))
    ]
    blocks += [
        (f"{script.relative_to(ROOT)}", script.read_text("utf-8"))
        for script in (ROOT / "docs").rglob("*.sh")
    ]
    return [(where, text) for where, text in blocks if SERVER.search(text)]


def test_the_docs_start_a_server_somewhere() -> None:
    assert any(where == "docs/tutorial.md" for where, _ in starts())


@pytest.mark.parametrize(("where", "text"), starts(), ids=[where for where, _ in starts()])
def test_a_server_of_the_docs_listens_on_this_machine_alone(where: str, text: str) -> None:
    before = text[: next(iter(SERVER.finditer(text))).start()]
    for found in SCRIPT.finditer(before):
        scripts = list((ROOT / "docs").rglob(found["name"]))
        assert scripts, f"{where}: {found['name']} is not in the docs"
        before += "".join(script.read_text("utf-8") for script in scripts)
    assert LOOPBACK.search(before), f"{where} starts a server on every interface"


def test_whatever_makes_everyone_an_admin_binds_to_this_machine() -> None:
    openers = [
        path
        for path in [*ROOT.rglob("docs/**/*.sh"), *(ROOT / "demo").glob("*.py")]
        if "SIMPLE_AUTH_MANAGER_ALL_ADMINS" in path.read_text("utf-8")
    ]
    assert len(openers) >= 2
    for path in openers:
        text = path.read_text("utf-8")
        assert re.search(r"AIRFLOW__API__HOST\"?[=:] ?\"?127\.0\.0\.1", text), path


def test_the_variables_of_the_tutorial_are_those_that_airflow_reads() -> None:
    from airflow.configuration import conf

    script = ROOT / "docs/examples/first_pipeline/local_airflow.sh"
    for line in script.read_text("utf-8").splitlines():
        name = shlex.split(line)[1].partition("=")[0]
        if name.startswith("AIRFLOW__") and "KINDLING" not in name:
            _, section, key = name.split("__", 2)
            assert conf.get(section.lower(), key.lower(), fallback="?") != "?" or (
                key == "SIMPLE_AUTH_MANAGER_ALL_ADMINS"
            ), name
