"""The stages of a proof, and the rules by which they pass, fail and are skipped. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postroom.microsoft.answers import Answer, Step
from postroom.microsoft.errors import Diagnosis

TITLES: Mapping[str, str] = {
    "resolve": "Server name resolves",
    "connect": "Connection",
    "tls": "TLS: certificate chain and name",
    "token": "Access token",
    "claims": "Claims of the token",
    "send-sign-in": "Sign-in to send",
    "sender": "Sender accepted",
    "message-sent": "Message sent",
    "read-sign-in": "Sign-in to read",
    "folder": "Folder opened",
    "read-back": "Message read back",
}
"""In the order in which they are shown."""

SENDING: Mapping[Step, str] = {
    Step.RESOLVE: "resolve",
    Step.CONNECT: "connect",
    Step.TLS: "tls",
    Step.TOKEN: "token",
    Step.CLAIMS: "claims",
    Step.SIGN_IN: "send-sign-in",
    Step.SENDER: "sender",
    Step.RECIPIENT: "message-sent",
    Step.DATA: "message-sent",
}
READING: Mapping[Step, str] = {
    Step.RESOLVE: "read-sign-in",
    Step.CONNECT: "read-sign-in",
    Step.TLS: "read-sign-in",
    Step.TOKEN: "token",
    Step.CLAIMS: "claims",
    Step.SIGN_IN: "read-sign-in",
    Step.FOLDER: "folder",
    Step.READ: "read-back",
}
"""Where the mailbox sends too, the network stages are about sending; the reading side's belong to its sign-in."""
READING_ONLY: Mapping[Step, str] = {
    **READING,
    Step.RESOLVE: "resolve",
    Step.CONNECT: "connect",
    Step.TLS: "tls",
}

SPREADS = frozenset(
    {
        "entra-wrong-secret",
        "entra-certificate-unknown",
        "entra-application-unknown",
        "entra-application-disabled",
        "entra-consent-missing",
        "no-consent",
        "role-missing",
        "exchange-service-principal",
        "full-access-missing",
        "imap-disabled",
        "pop-disabled",
        "imap-not-connected",
        "one-protocol-refused",
        "smtp-sign-in-refused",
        "smtp-auth-disabled-tenant",
        "smtp-auth-disabled-mailbox",
        "smtp-mailbox-logon",
        "smtp-sender-not-allowed",
        "smtp-send-as-denied",
        "imap-sign-in-refused",
        "pop-sign-in-refused",
        "graph-access-denied",
        "graph-access-policy",
        "graph-out-of-scope",
        "graph-send-as-denied",
        "graph-no-mailbox",
    }
)
"""Faults (ids of the error catalogue) that right after a change may mend themselves: new secrets, consents, service
principals, permissions and switches take from seconds to an hour to be seen everywhere (facts 8). Waiting does not
mend a wrong id or an expired secret."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One line of the proof, as it stands."""

    stage: str
    """A key of `TITLES`."""
    state: str
    """`waiting`, `running`, `passed`, `failed`, `skipped`."""
    detail: str = ""
    seconds: float = 0.0
    diagnosis: Diagnosis | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "title": TITLES[self.stage],
            "state": self.state,
            "detail": self.detail,
            "seconds": round(self.seconds, 3),
            "diagnosis": self.diagnosis.to_json() if self.diagnosis else None,
        }


def waiting() -> list[Stage]:
    """All stages before the first step."""
    return [Stage(name, "waiting") for name in TITLES]


def passed(stages: Mapping[str, Stage]) -> bool:
    """A proof has passed when nothing failed, and something was shown at all."""
    states = [stage.state for stage in stages.values()]
    return "failed" not in states and "passed" in states


def failing_stage(answer: Answer, steps: Mapping[Step, str]) -> str:
    """The stage that an answer belongs to."""
    return steps.get(answer.step) or list(steps.values())[-1]


def before(stage: str, steps: Mapping[Step, str]) -> Iterator[str]:
    """The stages of one direction that come before `stage`, and that nothing but its conversation can show."""
    for name in TITLES:
        if name == stage:
            return
        if name in steps.values() and name not in {"token", "claims"}:
            yield name
