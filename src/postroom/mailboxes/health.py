"""How a mailbox is doing, judged from its credentials and its latest proof. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

EXPIRY_WARNING = timedelta(days=30)


class State(StrEnum):
    HEALTHY = "healthy"
    FAILING = "failing"
    EXPIRING = "expiring"
    UNPROVED = "unproved"
    UNREADABLE = "unreadable"
    """Its row or its credential cannot be read; nothing else about it was looked at."""


@dataclass(frozen=True, slots=True)
class Health:
    state: State
    text: str
    """One sentence for people."""


@dataclass(frozen=True, slots=True)
class LastProof:
    """What the latest finished proof said, and when."""

    passed: bool
    finished_at: datetime
    reason: str = ""
    """Cause named by the first failed stage."""


@dataclass(frozen=True, slots=True)
class CredentialState:
    label: str
    expires_at: datetime | None = None
    refused_with: str = ""
    fault: str = ""
    """Why it cannot be opened, when it cannot."""


def judge(
    proof: LastProof | None,
    credentials: Sequence[CredentialState],
    *,
    needs_credential: bool,
    changed_at: datetime,
    now: datetime,
) -> Health:
    """The gravest thing first: what cannot be read, what fails, what will fail soon, what nobody has proved."""
    if needs_credential and not credentials:
        return Health(State.UNPROVED, "has no credential yet; add one")
    faults = [credential.fault for credential in credentials if credential.fault]
    if faults and len(faults) == len(credentials):
        return Health(State.UNREADABLE, f"cannot read its credential: {faults[0]}")
    usable = [credential for credential in credentials if not credential.fault]
    gone = [credential for credential in usable if _expired(credential, now) or credential.refused_with]
    if usable and len(gone) == len(usable):
        return Health(State.FAILING, _why_gone(gone[0], now))
    if proof is not None and not proof.passed:
        return Health(State.FAILING, proof.reason or "the last proof failed")
    soon = _expiring_last([credential for credential in usable if credential not in gone], now)
    if soon is not None and soon.expires_at is not None:
        return Health(State.EXPIRING, f"{soon.label} expires on {soon.expires_at:%Y-%m-%d}; add its successor now")
    if proof is None:
        return Health(State.UNPROVED, "never tested; run the test")
    if proof.finished_at < changed_at:
        return Health(
            State.UNPROVED, f"changed after its last test of {proof.finished_at:%Y-%m-%d %H:%M} UTC; test it again"
        )
    return Health(State.HEALTHY, f"proved on {proof.finished_at:%Y-%m-%d %H:%M} UTC")


def _expired(credential: CredentialState, now: datetime) -> bool:
    return credential.expires_at is not None and credential.expires_at <= now


def _why_gone(credential: CredentialState, now: datetime) -> str:
    if _expired(credential, now):
        return f"{credential.label} expired on {credential.expires_at:%Y-%m-%d}; add a new one"
    return f"{credential.label} was refused with {credential.refused_with}; add a new one"


def _expiring_last(credentials: Sequence[CredentialState], now: datetime) -> CredentialState | None:
    """The credential that lasts longest, if even that one ends soon: a successor side by side calms the warning."""
    if not credentials or any(credential.expires_at is None for credential in credentials):
        return None
    last = max(credentials, key=lambda credential: credential.expires_at or now)
    return last if last.expires_at is not None and last.expires_at - now <= EXPIRY_WARNING else None
