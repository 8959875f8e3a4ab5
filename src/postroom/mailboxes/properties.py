"""Java's `.properties` syntax, read (java.util.Properties, "load"). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_KEY = re.compile(r"((?:\\.|[^\\=:\s])*)[ \t\f]*(?:[=:][ \t\f]*)?(.*)", re.DOTALL)


def parse_properties(text: str) -> dict[str, str]:
    """Keys and values; of a key that is there twice, the last value. Understands comments, continued lines, escapes."""
    found: dict[str, str] = {}
    for line in _logical_lines(text):
        match = _KEY.fullmatch(line)
        if match is not None:
            found[_unescaped(match[1])] = _unescaped(match[2])
    return found


def without_passwords(text: str) -> str:
    """The same properties less their passwords, to be shown again; comments, which may hold one, go too."""
    shown = []
    for line in _logical_lines(text):
        match = _KEY.fullmatch(line)
        hides = match is not None and "password" in _unescaped(match[1]).lower()
        shown.append(f"{match[1]}=" if match is not None and hides else line)
    return "\n".join(shown)


def _logical_lines(text: str) -> Iterator[str]:
    """A line that ends in an odd number of backslashes goes on in the next, whose leading blanks don't count."""
    pending = ""
    for raw in re.split(r"\r\n|\r|\n", text):
        line = raw.lstrip(" \t\f")
        if not pending and (not line or line[0] in "#!"):
            continue
        line = pending + line
        slashes = len(line) - len(line.rstrip("\\"))
        if slashes % 2:
            pending = line[:-1]
            continue
        pending = ""
        yield line
    if pending:
        yield pending


def _unescaped(text: str) -> str:
    def char(match: re.Match[str]) -> str:
        escaped = match[1]
        if len(escaped) == 5:
            return chr(int(escaped[1:], 16))
        return _ESCAPES.get(escaped, escaped)

    return _ESCAPE.sub(char, text)
