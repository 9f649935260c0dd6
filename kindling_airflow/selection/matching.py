"""Matches pipes with a single word, and makes the error for a word that selects none."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from kindling_airflow.common.id_globs import Glob
from kindling_airflow.common.immutable import thaw
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.selection.syntax import Kind, Word

_PREFIXES = [kind.value for kind in Kind if kind.value]
_MOST_COMPARISONS = 100_000
"""How many ids are compared with misspelt words, all in all: a second or two of work."""


def pipes_matching(word: Word, graph: PipeGraph) -> frozenset[str]:
    """Return the pipes that a word selects, in time linear in pipes and edges."""
    find = word.glob.finder()
    written, read = graph.entity_producers, graph.entity_consumers
    if word.kind is Kind.PIPE:
        return frozenset(find(graph.nodes))
    if word.kind is Kind.TAG:
        return frozenset(_tagged(word, graph))
    if word.kind is Kind.READS:
        return frozenset(pipe_id for entity in find(read) for pipe_id in read[entity])
    writers = frozenset(written[entity] for entity in find(written))
    if word.kind is Kind.WRITES:
        return writers
    external = (entity for entity in find(read) if entity not in written)
    return writers.union(pipe_id for entity in external for pipe_id in read[entity])


def tag_texts(value: Any) -> tuple[str, ...]:
    """Return the texts that a tag's value is compared by: its elements' where it is a list.

    A string is its own text, everything else is its JSON text.

    >>> tag_texts("gold"), tag_texts(True), tag_texts(["a", 1, None])
    (('gold',), ('true',), ('a', '1', 'null'))
    """
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(item if isinstance(item, str) else _json_text(item) for item in items)


def _json_text(value: Any) -> str:
    return json.dumps(thaw(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _tagged(word: Word, graph: PipeGraph) -> Iterator[str]:
    find = word.glob.finder()
    fits = None if word.value is None else word.value.matcher()
    for pipe_id, node in graph.nodes.items():
        tags = node.tags
        for key in find(tags):
            if fits is None or any(map(fits, tag_texts(tags[key]))):
                yield pipe_id


def unmatched_problems(words: Iterable[Word], graph: PipeGraph) -> list[str]:
    """Return an error text for each of these words, none of which matches.

    Looking for similar ids is slow, so in a huge graph only the first words of many have a hint.
    """
    problems = []
    comparisons = _MOST_COMPARISONS
    for word in words:
        what, sought, known = _sought(word, graph)
        comparisons -= len(known)
        hint = did_you_mean(str(sought), known) if comparisons >= 0 else ""
        problems.append(f"no pipe {what}.{hint}\n  Fix: {_remedy(word, graph)}")
    return problems


def _sought(word: Word, graph: PipeGraph) -> tuple[str, Glob, Collection[str]]:
    """Return the condition that no pipe meets, its glob, and what the glob was compared with."""
    named = _named(word.glob)
    if word.kind is Kind.PIPE:
        return f"has an id {named}", word.glob, graph.nodes
    if word.kind is Kind.READS:
        return f"reads an entity {named}", word.glob, graph.entity_consumers
    if word.kind is Kind.WRITES:
        return f"writes an entity {named}", word.glob, graph.entity_producers
    if word.kind is Kind.ENTITY:
        known = {**graph.entity_producers, **graph.entity_consumers}
        return f"writes or reads an entity {named}", word.glob, known
    tags = [node.tags for node in graph.nodes.values()]
    find = word.glob.finder()
    values = [own[key] for own in tags for key in find(own)]
    if word.value is None or not values:
        return f"has a tag {named}", word.glob, {key for own in tags for key in own}
    texts = {text for value in values for text in tag_texts(value)}
    return f"has a tag {named} with a value {_named(word.value)}", word.value, texts


def _remedy(word: Word, graph: PipeGraph) -> str:
    value = word.value and word.value.across_dots()
    for glob in (word.glob, word.glob.across_dots()):
        wider = Word(word.kind, glob, value)
        if pipes_matching(wider, graph):
            return f"'*' does not match a dot, '**' does: write {wider}"
    as_entity = Word(Kind.ENTITY, word.glob)
    if word.kind is Kind.PIPE and pipes_matching(as_entity, graph):
        return f"an entity has such an id: write {as_entity}"
    if word.kind is Kind.PIPE and (meant := _with_prefix(word)) is not None:
        return f"there is a prefix {meant.kind.value!r}: write {meant}"
    return "correct the word, or leave it out."


def _with_prefix(word: Word) -> Word | None:
    """Return the word that is meant where an id starts with what is nearly a prefix."""
    first, *others = word.glob.parts
    prefix, colon, rest = first.partition(":") if isinstance(first, str) else ("", "", "")
    near = get_close_matches(f"{prefix.casefold()}:", _PREFIXES, n=1, cutoff=0.75)
    pieces = [(rest, True), *((str(Glob((part,))), isinstance(part, str)) for part in others)]
    if not (colon and near and any(text for text, _ in pieces)):
        return None
    kind = Kind(near[0])
    for n, (text, is_literal) in enumerate(pieces):
        if kind is Kind.TAG and is_literal and "=" in text:
            key, _, value = text.partition("=")
            found = Glob.of([(value, True), *pieces[n + 1 :]])
            return Word(kind, Glob.of([*pieces[:n], (key, True)]), found)
    return Word(kind, Glob.of(pieces))


def _named(glob: Glob) -> str:
    return repr(str(glob)) if glob.literal is not None else f"that matches {str(glob)!r}"
