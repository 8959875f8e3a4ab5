"""Reads structured header fields from left to right: comments, quoted strings, words (RFC 5322 section 3.2)."""

from __future__ import annotations

import re

_BLANK = re.compile(r"[ \t]+")
_IN_COMMENT = re.compile(r"[^()\\\x00-\x08\x0a-\x1f\x7f]+")
_IN_QUOTES = re.compile(r'[^"\\\x00-\x08\x0a-\x1f\x7f]+')
_DEEPEST = 20


class NotUnderstood(ValueError):
    """A field that its grammar does not allow; the message says what was met where."""

    def __init__(self, fault: str, at: int) -> None:
        super().__init__(f"{fault} at character {at}")


class Reader:
    """A place in an unfolded field value. Whoever reads takes what the grammar allows next, or gets `NotUnderstood`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def at_end(self) -> bool:
        return self.at >= len(self.text)

    def next_is(self, char: str) -> bool:
        return self.text.startswith(char, self.at)

    def take(self, pattern: re.Pattern[str]) -> str:
        """What matches here, or nothing."""
        match = pattern.match(self.text, self.at)
        if not match:
            return ""
        self.at = match.end()
        return match.group()

    def expect(self, char: str) -> None:
        if not self.next_is(char):
            raise NotUnderstood(f"{char!r} is missing", self.at)
        self.at += len(char)

    def skip(self) -> None:
        """Past blanks and comments, which may be nested (CFWS)."""
        while True:
            self.take(_BLANK)
            if not self.next_is("("):
                return
            self._comment()

    def quoted(self) -> str:
        """The content of the quoted string that begins here."""
        self.expect('"')
        content = ""
        while not self.next_is('"'):
            content += self._escaped() if self.next_is("\\") else self.take(_IN_QUOTES) or self._broken("quoted string")
        self.at += 1
        return content

    def _comment(self) -> None:
        depth = 0
        while True:
            if self.next_is("("):
                depth += 1
                self.at += 1
                if depth > _DEEPEST:
                    raise NotUnderstood("comments are nested too deeply", self.at)
            elif self.next_is(")"):
                depth -= 1
                self.at += 1
                if not depth:
                    return
            elif self.next_is("\\"):
                self._escaped()
            else:
                self.take(_IN_COMMENT) or self._broken("comment")

    def _escaped(self) -> str:
        """A quoted-pair: the character after the backslash."""
        char = self.text[self.at + 1 : self.at + 2]
        if not char or (char < " " and char != "\t") or char == "\x7f":
            self._broken("escape")
        self.at += 2
        return char

    def _broken(self, what: str) -> str:
        raise NotUnderstood(f"a {what} does not end, or holds a control character,", self.at)
