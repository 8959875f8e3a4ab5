"""Wire dialogues as text: what the client says, and what the server must answer.

    S: 220 ... Microsoft ESMTP MAIL Service ready at ...
    C: EHLO client.example
    S: 250-... Hello [127.0.0.1]
    TLS

`...` stands for anything, `{name}` for a value given to `converse`. `TLS` starts TLS; `CLOSED` wants the server to
have hung up.
"""

from __future__ import annotations

import re
import socket
import ssl
from types import TracebackType
from typing import Self

_PATIENCE = 20.0


class Wire:
    """A connection that is spoken line by line."""

    def __init__(self, port: int, tls: ssl.SSLContext, *, implicit: bool = False) -> None:
        self._tls = tls
        self._socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        if implicit:
            self._socket = tls.wrap_socket(self._socket, server_hostname="localhost")
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def line(self) -> str:
        """The next line without its end; "" when the server has hung up."""
        try:
            read = self._file.readline()
        except (ConnectionError, ssl.SSLEOFError):
            return ""
        return read.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")

    def start_tls(self) -> None:
        self._socket = self._tls.wrap_socket(self._socket, server_hostname="localhost")
        self._file = self._socket.makefile("rb")

    def converse(self, dialogue: str, **values: str) -> None:
        """Plays a dialogue. Raises `AssertionError` at the first answer that differs."""
        for name, value in values.items():
            dialogue = dialogue.replace(f"{{{name}}}", value)
        for number, line in enumerate(filter(None, map(str.strip, dialogue.splitlines())), 1):
            if line.startswith("C:"):
                self.send(line[2:].strip().encode() + b"\r\n")
            elif line.startswith("S:"):
                self._expect(number, line[2:].strip())
            elif line == "TLS":
                self.start_tls()
            elif line == "CLOSED":
                said = self.line()
                assert said == "", f"line {number}: the server should have hung up, and said {said!r}"
            else:
                raise ValueError(f"line {number} is none of C:, S:, TLS, CLOSED: {line}")

    def _expect(self, number: int, wanted: str) -> None:
        said = self.line()
        pattern = ".*".join(re.escape(piece) for piece in wanted.split("..."))
        assert re.fullmatch(pattern, said.rstrip()), f"line {number}: wanted {wanted!r}, got {said!r}"
