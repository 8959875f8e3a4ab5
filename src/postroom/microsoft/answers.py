"""What the other side said, as a value: the one thing that transports bring back and the catalogue reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Service(StrEnum):
    """Who spoke. `NETWORK` is nobody: the conversation did not come about, or it broke."""

    NETWORK = "network"
    ENTRA = "entra"
    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"
    GRAPH = "graph"
    EXCHANGE = "exchange"


class Step(StrEnum):
    """Where in the conversation it was said, in the order in which a conversation goes."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    TOKEN = "token"
    CLAIMS = "claims"
    SIGN_IN = "sign-in"
    SENDER = "sender"
    RECIPIENT = "recipient"
    DATA = "data"
    FOLDER = "folder"
    READ = "read"
    SET_UP = "set-up"
    """Administration of the tenant: directory and Exchange."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply of a remote service, or the lack of one.

    `code` is the protocol's own: "535" (RFC 5321), "NO" or "BAD" or "BYE" (RFC 9051), "-ERR" (RFC 1939),
    "AADSTS7000222" (Entra), "ErrorAccessDenied" (Graph), or for `Service.NETWORK` one of "resolve",
    "refused", "timeout", "lost", "certificate", "tls", "proxy".
    """

    service: Service
    step: Step
    code: str
    text: str
    """The server's words, verbatim, without line ends."""
    enhanced: str = ""
    """Enhanced status code (RFC 3463), such as "5.7.139"; for Entra the OAuth `error`, e.g. "invalid_client"."""
    status: int = 0
    """HTTP status where the service speaks HTTP, else 0."""
    retry_after: float | None = None
    """Seconds the server asked us to wait, when it said so."""
    request_id: str = ""
    """Microsoft's request or trace id, to quote to their support."""


class Refused(Exception):
    """The other side said no, or nothing. Its `answer` says who, where and in which words."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.service} at {answer.step}: {answer.code} {answer.text}".strip())
        self.answer = answer
