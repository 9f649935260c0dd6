"""Checks the wording of pages and of the package's texts: ``python docs/prose.py``.

The pages may not use a word of ``WORDS``, and their prose is at most 120 characters wide. In the
package (docstrings, and strings of two words or more) each room has a number of findings that it
may not exceed, in ``prose_known.json``; so have pages that are being rewritten.

    --list PART   print the findings in paths that contain PART, allowed ones included
    --lower       lower the numbers to what is found now; a number is never raised
    --wrap        wrap the prose of the pages that is too wide
"""

from __future__ import annotations

import ast
import json
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KNOWN = Path(__file__).with_name("prose_known.json")
WIDTH = 120
TOO_WIDE = f"wider than {WIDTH} characters; Fix: python docs/prose.py --wrap"

# What is searched for, in any case, and what to write in its place.
WORDS = {
    r"nobody|somebody|everybody": "the passive, or the component's name",
    r"(?<!there )is no (?!longer|more|less|different)": "is not a",
    r"there (is|are) no (?=['`])": "not found",
    r"told|tells?": "reported, notified, logged; 'Return whether'",
    r"said": "set, given, specified, configured",
    r"of (its|their|one's|our|your) own|an? own": "its own; custom",
    r"moments?": "time, timestamp",
    r"(?<!and )sound": "valid",
    r"whoever|who (reads?|writes?|wants?|finds?)": "readers, consumers, whatever",
    r"lives? (on|as long)|as it lives": "long-running; runs until",
    r"done (twice|again)": "re-run, retried; idempotent",
    r"for people": "human-readable",
    r"(cannot|that) heals?|healed": "transient, retryable",
    r"mend(s|ed)?": "fix",
    r"anew": "again",
    r"for good": "permanently",
    r"for ever": "forever",
    r"without a word": "silently",
    r"falls? silent|fell silent": "stops reporting",
    r"became of": "the status of",
    r"(lie|lies|lay) (in|beside|beneath|on|over|there|outside|under|within)": "is in",
    r"stands? (in|beside|behind|before|between|there)": "is in",
}
_WORDS = [(re.compile(rf"\b(?:{word})\b", re.IGNORECASE), fix) for word, fix in WORDS.items()]

_SKIPPED = re.compile(
    r"^(?P<fence>```+).*?^(?P=fence)$"  # a code block
    r"|<!-- generated: .*?<!-- end -->"  # comes from the package, where it is checked
    r"|<!--.*?-->"
    r"|(?<=\]\()[^)]*(?=\))"  # where a link leads
    r"|`[^`\n]+`"
    r"|\"[^\"\n]*\"|(?<![*\w])\*\w[^*\n]*\*(?![*\w])",  # what is quoted, in italics too
    re.DOTALL | re.MULTILINE,
)
_NOT_PROSE = re.compile(r"\s*(\||#|!\[|<|\[[^\]]+\]: )| {4,}(?![-*\d])")
_ITEM = re.compile(r"\s*(?:[-*] (?:\[[ x]\] )?|\d+\. |> )?")


@dataclass(frozen=True, slots=True)
class Finding:
    """A place in a file, and what is wrong with it."""

    path: Path
    line: int
    text: str

    @property
    def group(self) -> str:
        """Return what its number of allowed findings is kept by: a page, or a room."""
        parts = self.path.relative_to(ROOT).parts
        return "/".join(parts[:2] if parts[0] == "kindling_airflow" else parts)

    def __str__(self) -> str:
        """Return the finding as a compiler would print it."""
        return f"{self.path.relative_to(ROOT).as_posix()}:{self.line}: {self.text}"


def main(arguments: list[str]) -> int:
    """Check everything; return the exit status."""
    if "--wrap" in arguments:
        for page in pages():
            page.write_text(wrapped(page.read_text("utf-8")), "utf-8")
    found = list(findings())
    known: dict[str, int] = json.loads(KNOWN.read_text("utf-8"))
    counts = Counter(finding.group for finding in found)
    if "--list" in arguments:
        part = arguments[arguments.index("--list") + 1]
        sys.stdout.writelines(f"{f}\n" for f in found if part in str(f))
        return 0
    if "--lower" in arguments:
        lowered = {group: min(n, counts[group]) for group, n in known.items() if counts[group]}
        KNOWN.write_text(json.dumps(lowered, indent=2) + "\n", "utf-8")
        known = lowered
    worse = {group for group, n in counts.items() if n > known.get(group, 0)}
    for finding in found:
        if finding.group in worse:
            sys.stdout.write(f"{finding}\n")
    for group in sorted(worse):
        allowed = known.get(group, 0)
        sys.stdout.write(f"{group}: {counts[group]} findings, {allowed} allowed\n")
    return 1 if worse else 0


def pages() -> list[Path]:
    """Return the pages that are written by hand."""
    everything = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(page for page in everything if page.parent.name != "reference")


def findings() -> Iterator[Finding]:
    """Yield what is wrong with the pages, and with the texts of the package."""
    for page in pages():
        text = page.read_text("utf-8")
        yield from _in_text(page, 1, _blank(text))
        for number, line in enumerate(_blank(text, blocks_only=True).splitlines(), 1):
            if _is_too_wide(line):
                yield Finding(page, number, TOO_WIDE)
    for module in sorted((ROOT / "kindling_airflow").rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield from _in_text(module, node.lineno, _blank(node.value))


def _in_text(path: Path, first: int, text: str) -> Iterator[Finding]:
    for words, fix in _WORDS:
        for found in words.finditer(text):
            line = first + text.count("\n", 0, found.start())
            yield Finding(path, line, f"{found[0]!r}; write: {fix}")


def _blank(text: str, *, blocks_only: bool = False) -> str:
    """Return a text in which everything that is not prose is blank, with the same lines."""

    def blank(found: re.Match[str]) -> str:
        keep = blocks_only and not found["fence"] and not found[0].startswith("<!--")
        return found[0] if keep else re.sub(r"[^\n]", " ", found[0])

    return _SKIPPED.sub(blank, text)


def _is_too_wide(line: str) -> bool:
    return len(line.rstrip()) > WIDTH and not _NOT_PROSE.match(line)


def wrapped(text: str) -> str:
    """Return a page with the paragraphs that have a line too wide wrapped again.

    >>> wrapped("word " * 30).splitlines()[1]
    'word word word word word word'
    """
    lines, prose = text.split("\n"), _blank(text, blocks_only=True).split("\n")
    out: list[str] = []
    while lines:
        end = _end_of_paragraph(prose)
        paragraph, lines, seen, prose = lines[:end], lines[end:], prose[:end], prose[end:]
        out += _wrap(paragraph) if any(map(_is_too_wide, seen)) else paragraph
    return "\n".join(out)


def _end_of_paragraph(lines: list[str]) -> int:
    """Return how many lines the paragraph, or the item of a list, at the beginning has."""
    for number, line in enumerate(lines[1:], 1):
        starts_another = _ITEM.match(line)
        if not line.strip() or not lines[0].strip() or _NOT_PROSE.match(line):
            return number
        if starts_another and starts_another[0].strip():
            return number
    return len(lines)


def _wrap(paragraph: list[str]) -> list[str]:
    found = _ITEM.match(paragraph[0])
    mark = found[0] if found else ""
    words = " ".join(line.strip() for line in (paragraph[0][len(mark) :], *paragraph[1:]))
    # Code stays on one line.
    kept: Callable[[re.Match[str]], str] = lambda m: m[0].replace(" ", "\0")  # noqa: E731
    words = re.sub(r"`[^`]+`", kept, words)
    words = re.sub(r" (?=(?:[-+*>#|]|\d+[.)]) )", "\0", words)  # would begin an item or a heading
    done = textwrap.wrap(
        words,
        WIDTH,
        initial_indent=mark,
        subsequent_indent="> " if mark.strip() == ">" else " " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in done]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
