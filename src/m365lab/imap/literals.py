"""Literals where Twisted has none or half of them: `{5+}` (RFC 7888), in SEARCH, and strings with escapes in them."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.mail.imap4 import IllegalClientResponse, IMAP4Server, parseNestedParens

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\Z")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\.)*)"(?: |\Z)')
_ESCAPE = re.compile(rb"\\(.)")


class Literals(IMAP4Server):
    """A mixin before `IMAP4Server`: its argument parsers."""

    _literalStringLimit = 65_536
    _no_continuation = False

    def sendContinuationRequest(self, msg: bytes = b"Ready for additional command text") -> None:
        if not self._no_continuation:
            super().sendContinuationRequest(msg)

    def arg_astring(self, line: bytes, final: bool = False) -> Any:
        line = line.strip()
        literal, string = _LITERAL.fullmatch(line), _QUOTED.match(line)
        if literal:
            if final and not int(literal[1]) and not literal[2]:
                return b"", b""
            return self._literal(literal, self._stringLiteral)
        if string:
            return _ESCAPE.sub(rb"\1", string[1]), line[string.end() :]
        return super().arg_astring(line, final)

    def arg_literal(self, line: bytes) -> Any:
        literal = _LITERAL.fullmatch(line.strip())
        if not literal:
            raise IllegalClientResponse("Missing literal")
        return self._literal(literal, self._fileLiteral)

    def arg_searchkeys(self, line: bytes) -> Any:
        literal = _LITERAL.search(line)
        if not literal:
            return parseNestedParens(line), b""
        # Twisted's parser wants the literal inside the line, behind its size: put it there and look for more.
        whole: Deferred[Any] = self._literal(literal, self._stringLiteral)
        so_far = line[: literal.start()] + b"{%d}\r\n" % int(literal[1])
        whole.addCallback(lambda got: self.arg_searchkeys(so_far + got[0] + got[1]))
        return whole

    def _literal(self, literal: re.Match[bytes], read: Any) -> Any:
        """Reads a literal, asking for it first unless the client does not wait."""
        self._no_continuation = bool(literal[2])
        try:
            return read(int(literal[1]))
        finally:
            self._no_continuation = False
