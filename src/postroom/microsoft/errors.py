"""One failure, one cause: from an answer and the evidence around it to what is wrong and how to mend it.

Pure. The known failures are in `catalogue.py`; what decides between the causes of a vague answer is in `narrowing.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from postroom.microsoft.answers import Answer, Service, Step
from postroom.microsoft.catalogue import Fault, Kind, fault, find
from postroom.microsoft.claims import Claims
from postroom.microsoft.narrowing import Evidence, judge_claims, narrow

__all__ = ["Diagnosis", "Evidence", "Fault", "Kind", "check_claims", "explain"]

_SPREADING = (
    "A change was made a short while ago and may still be spreading: app roles reach new tokens within minutes, "
    "Exchange's service principals and mailbox permissions within minutes to an hour, RBAC for Applications within "
    "30 minutes to 2 hours."
)
"""Facts 8."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong, how we know, and what to do."""

    fault: Fault
    cause: str
    evidence: tuple[str, ...]
    fix: str
    command: str
    """What to run or click, filled with this mailbox's values; `<...>` where a value is not known."""
    link: str
    kind: Kind
    answer: Answer
    """The answer that is explained, for those who want it verbatim."""
    retry_after: float | None = None
    """Seconds after which another attempt makes sense, where that is known."""
    also: tuple[str, ...] = ()
    """What else it could be, or is worth knowing."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for a database or an API."""
        return {
            "fault": self.fault.id,
            "cause": self.cause,
            "evidence": list(self.evidence),
            "fix": self.fix,
            "command": self.command,
            "link": self.link,
            "kind": self.kind.value,
            "answer": asdict(self.answer),
            "retry_after": self.retry_after,
            "also": list(self.also),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Diagnosis:
        """The other way; a fault that the catalogue no longer has becomes "unknown"."""
        answer = dict(data["answer"])
        answer["service"], answer["step"] = Service(answer["service"]), Step(answer["step"])
        return cls(
            fault=fault(data["fault"]),
            cause=data["cause"],
            evidence=tuple(data["evidence"]),
            fix=data["fix"],
            command=data["command"],
            link=data["link"],
            kind=Kind(data["kind"]),
            answer=Answer(**answer),
            retry_after=data["retry_after"],
            also=tuple(data["also"]),
        )


def explain(answer: Answer, evidence: Evidence | None = None) -> Diagnosis:
    """The one cause that this answer and the evidence point to. Never raises; an unknown answer is told verbatim."""
    evidence = evidence or Evidence()
    # What `check_claims` found carries its row's id as code.
    found = fault(answer.code) if answer.step is Step.CLAIMS else find(answer)
    finding = narrow(found, answer, evidence)
    return _diagnosis(finding.fault, finding.signs, answer, evidence, finding.role)


def check_claims(
    claims: Claims, needed_roles: Collection[str], resource: str, evidence: Evidence | None = None
) -> Diagnosis | None:
    """What a token's own claims say is wrong with the set-up, or None: audience, roles, and the object id typed in."""
    evidence = replace(evidence or Evidence(), claims=claims)
    finding = judge_claims(claims, sorted(needed_roles), resource, evidence)
    if finding is None:
        return None
    said = "; ".join(finding.signs)
    answer = Answer(Service.ENTRA, Step.CLAIMS, finding.fault.id, said)
    return _diagnosis(finding.fault, finding.signs, answer, evidence, finding.role)


def _diagnosis(found: Fault, signs: Sequence[str], answer: Answer, evidence: Evidence, role: str) -> Diagnosis:
    kind = found.kind or _kind_of_unknown(answer)
    values = _values(evidence, role, answer)
    also = tuple(_fill(line, values) for line in found.also)
    if evidence.recently_changed and kind is Kind.PERMISSION:
        also = (_SPREADING, *also)
    return Diagnosis(
        fault=found,
        cause=_fill(found.cause, values),
        evidence=(*signs, _verbatim(answer)) if answer.step is not Step.CLAIMS else tuple(signs),
        fix=_fill(found.fix, values),
        command=_fill(found.command, values, quote=True),
        link=found.link,
        kind=kind,
        answer=answer,
        retry_after=_retry_after(answer, found),
        also=also,
    )


def _verbatim(answer: Answer) -> str:
    if answer.code == "credential":
        return f"Before asking Entra: {answer.text}"
    who = {Service.NETWORK: "The network", Service.ENTRA: "Entra"}.get(answer.service, answer.service.upper())
    quote = f" (request id {answer.request_id})" if answer.request_id else ""
    return f"{who} said at {answer.step}: {_words(answer)}{quote}"


def _words(answer: Answer) -> str:
    """Code and text as they stood, without saying twice what the text says already."""
    codes = [code for code in (answer.code, answer.enhanced) if code not in answer.text]
    return " ".join(filter(None, [*codes, answer.text]))


def _kind_of_unknown(answer: Answer) -> Kind:
    """RFC 5321 section 4.2.1 for SMTP, RFC 9110 section 15 for HTTP; reading is tried again."""
    if answer.status == 429:
        return Kind.THROTTLED
    if answer.service is Service.SMTP:
        return Kind.PERMANENT if answer.code.startswith("5") else Kind.TRANSIENT
    if answer.status in {401, 403}:
        return Kind.PERMISSION
    return Kind.PERMANENT if 400 <= answer.status < 500 else Kind.TRANSIENT


_BACKOFF = re.compile(r"Suggested Backoff Time: (\d+) milliseconds")


def _retry_after(answer: Answer, found: Fault) -> float | None:
    if answer.retry_after is not None:
        return answer.retry_after
    suggested = _BACKOFF.search(answer.text)
    return int(suggested.group(1)) / 1000 if suggested else found.retry_after


_PLACEHOLDER = re.compile(r"\{(mailbox|sender|tenant|client_id|service_principal_id|object_id|role|answer)\}")
_UNKNOWN = {
    "mailbox": "<mailbox address>",
    "sender": "<sender address>",
    "tenant": "<tenant id>",
    "client_id": "<application (client) id>",
    "service_principal_id": "<object id of the Enterprise application>",
    "object_id": "<object id of the App registration>",
    "role": "<app role>",
}


def _values(evidence: Evidence, role: str, answer: Answer) -> Mapping[str, str]:
    claims = evidence.claims
    return {
        "mailbox": evidence.mailbox,
        "sender": evidence.sender,
        "tenant": evidence.tenant or (claims.tenant if claims else ""),
        "client_id": evidence.client_id or (claims.client_id if claims else ""),
        # The token's own is right whatever was typed: it is the very service principal that Entra signed in.
        "service_principal_id": (claims.service_principal_id if claims else "") or evidence.service_principal_id,
        "object_id": evidence.object_id,
        "role": role,
        "answer": _words(answer) or "nothing at all",
    }


def _fill(text: str, values: Mapping[str, str], *, quote: bool = False) -> str:
    """Puts values in; in a command whatever could end an argument is quoted for PowerShell."""

    def value(match: re.Match[str]) -> str:
        known = values[match.group(1)]
        if not known:
            return _UNKNOWN[match.group(1)]
        if quote and not re.fullmatch(r"[A-Za-z0-9._@+-]+", known):
            return "'" + known.replace("'", "''") + "'"
        return known

    return _PLACEHOLDER.sub(value, text)
