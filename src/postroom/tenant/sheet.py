"""The portal checklist as values, so that a page can set a copy button beside each value. Pure.

It reads the few marks of Markdown that `export.checklist` writes, and no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE = re.compile(r"\d+\. \[ \] (?P<text>.+)")
_PART = re.compile(
    r"`(?P<value>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\*(?P<name>[^*]+)\*|\[(?P<link>[^\]]+)\]\((?P<address>[^)]+)\)"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence. `kind`: `text`, `value` (to be copied), `strong`, `name` (of a field) or `link`."""

    kind: str
    text: str
    address: str = ""
    """Of a link."""


def sentences(checklist: str) -> list[list[Part]]:
    """Each numbered line of the checklist, in pieces."""
    return [list(_parts(found["text"])) for line in checklist.splitlines() if (found := _LINE.fullmatch(line))]


def answer_block(checklist: str) -> str:
    """The block at its end, to be filled in and sent back."""
    found = re.search(r"```yaml\n(.*?)```", checklist, re.DOTALL)
    return found[1] if found else ""


def _parts(text: str) -> Iterator[Part]:
    end = 0
    for found in _PART.finditer(text):
        if found.start() > end:
            yield Part("text", text[end : found.start()])
        kind = next(name for name in ("value", "strong", "name", "link") if found[name])
        yield Part(kind, found[kind], found["address"] or "")
        end = found.end()
    if end < len(text):
        yield Part("text", text[end:])
