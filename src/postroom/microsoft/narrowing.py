"""Which of its causes a vague answer has: the token's claims first, then what worked in the same proof.

Exchange says one and the same thing for half a dozen faults (facts 5), but it checks in an order: the token, the role
in it, the service principal, the right on the mailbox, the protocol. So whatever worked rules out all that is
checked before it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from postroom.microsoft.answers import Answer, Service, Step
from postroom.microsoft.catalogue import Fault, fault
from postroom.microsoft.claims import Claims
from postroom.microsoft.clouds import clouds

ROLE_FOR: Mapping[Service, str] = MappingProxyType(
    {Service.SMTP: "SMTP.SendAsApp", Service.IMAP: "IMAP.AccessAsApp", Service.POP3: "POP.AccessAsApp"}
)
"""The app role without which Exchange takes no token for the protocol (facts 4.2)."""
_INCLUDED_IN = {"Mail.Read": {"Mail.ReadWrite"}, "Mail.ReadBasic.All": {"Mail.Read", "Mail.ReadWrite"}}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known around an answer. All of it is optional; the more there is, the surer the cause."""

    mailbox: str = ""
    sender: str = ""
    """The From address, where it is not the mailbox's own."""
    tenant: str = ""
    client_id: str = ""
    object_id: str = ""
    """Of the App registration, as typed in; only there to recognise it where the other one belongs."""
    service_principal_id: str = ""
    """Of the Enterprise application, as typed in."""
    claims: Claims | None = None
    """Of the token that was used."""
    recently_changed: bool = False
    worked: frozenset[str] = frozenset()
    """What succeeded in this proof: "token", and `f"{service}-{step}"` such as "smtp-data" or "imap-folder"."""
    scoped: bool = False
    """The application's rights come from RBAC for Applications: its token rightly has no roles (facts 4.3)."""
    by_password: bool = False
    """The mailbox signs in with a password, so there is neither token nor service principal."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The cause, the signs that point to it, and the app role it is about."""

    fault: Fault
    signs: tuple[str, ...] = ()
    role: str = ""


def narrow(found: Fault, answer: Answer, evidence: Evidence) -> Finding:
    """The one cause of this answer: what its row says, unless the row is vague and the evidence knows more."""
    role = _role_for(answer)
    if not found.vague:
        return Finding(found, role=role)
    if evidence.by_password and found.id in _PASSWORD_REFUSED:
        return Finding(fault(_PASSWORD_REFUSED[found.id]), ("The mailbox signs in with a password",))
    if evidence.claims is not None:
        # Graph does not know what Exchange's list of service principals holds.
        about = replace(evidence, service_principal_id="") if answer.service is Service.GRAPH else evidence
        by_claims = _judge_audience(answer, evidence.claims) or judge_claims(
            evidence.claims, [role] if role else [], "", about
        )
        if by_claims is not None:
            return by_claims
    return replace(_BY_WHAT_WORKED[found.id](found, evidence), role=role)


def _judge_audience(answer: Answer, claims: Claims) -> Finding | None:
    """Exchange's mail protocols take no token of Graph, nor the one of Exchange PowerShell (jstedfast/MailKit#1811)."""
    foreign = {_bare(cloud.graph_resource) for cloud in clouds().values()} | {"https://ps.outlook.com"}
    if answer.service not in ROLE_FOR or _bare(claims.audience) not in foreign:
        return None
    sign = f"The token's audience is {claims.audience}, which is not Exchange"
    return Finding(fault("wrong-audience"), (sign,), ROLE_FOR[answer.service])


def judge_claims(claims: Claims, needed: Sequence[str], resource: str, evidence: Evidence) -> Finding | None:
    """What is wrong with the token by its own claims, in the order in which Exchange checks; None when nothing is.

    `needed` are app roles that must all be there; `resource` is the resource id that was asked for, "" for any.
    """
    if not claims.audience:
        return None  # not a token whose claims can be read
    if resource and _bare(claims.audience) != _bare(resource):
        sign = f"The token's audience is {claims.audience}; {resource} was asked for"
        return Finding(fault("wrong-audience"), (sign,), needed[0] if needed else "")
    return _judge_roles(claims, needed, evidence) or _judge_object_id(claims, evidence)


def _judge_roles(claims: Claims, needed: Sequence[str], evidence: Evidence) -> Finding | None:
    missing = [role for role in needed if not claims.roles & {role, *_INCLUDED_IN.get(role, ())}]
    if not missing or evidence.scoped:
        return None
    which = ", ".join(missing)
    if claims.roles:
        has = f"The token's roles are {', '.join(sorted(claims.roles))}"
        return Finding(fault("role-missing"), (has,), which)
    if claims.scopes:
        has = f"The token has the delegated permissions {', '.join(sorted(claims.scopes))}, and no roles"
        return Finding(fault("delegated-token"), (has,), which)
    return Finding(fault("no-consent"), ("The token has no roles",), which)


def _judge_object_id(claims: Claims, evidence: Evidence) -> Finding | None:
    """The token's oid is the service principal's object id, whatever was typed in (facts 1.4)."""
    typed, real = evidence.service_principal_id.lower(), claims.service_principal_id.lower()
    if not typed or not real or typed == real:
        return None
    sign = f"The token's oid is {claims.service_principal_id}; {evidence.service_principal_id} was entered"
    if typed == evidence.object_id.lower():
        return Finding(fault("object-id-of-registration"), (sign, "That is the App registration's object id"))
    return Finding(fault("object-id-mismatch"), (sign,))


def _role_for(answer: Answer) -> str:
    if answer.service is Service.GRAPH:
        sending = {Step.SENDER, Step.RECIPIENT, Step.DATA}
        return "Mail.Send" if answer.step in sending else "Mail.Read" if answer.step in {Step.FOLDER, Step.READ} else ""
    return ROLE_FOR.get(answer.service, "")


def _smtp_refused(found: Fault, evidence: Evidence) -> Finding:
    return _one_protocol(found, evidence, "imap", "pop3")


def _imap_refused(found: Fault, evidence: Evidence) -> Finding:
    return _one_protocol(found, evidence, "smtp", "pop3")


def _one_protocol(found: Fault, evidence: Evidence, *others: str) -> Finding:
    known = _service_principal_known(evidence, *others)
    return Finding(fault("one-protocol-refused"), known) if known else _service_principal_suspected(found, evidence)


def _imap_not_connected(found: Fault, evidence: Evidence) -> Finding:
    """The token, its role and the service principal are right, or the sign-in would have been refused.

    Outside of a proof nothing is known to have worked, and it may well be the number of connections.
    """
    if not evidence.worked:
        return Finding(found)
    if evidence.worked & {"imap-folder", "imap-read"}:
        return Finding(fault("connections-busy"), ("The folder was opened over IMAP in this very test",))
    opened = _mailbox_opened(evidence)
    if opened:
        return Finding(fault("imap-disabled"), opened)
    return Finding(fault("full-access-missing"), ("Exchange took the token, so it knows the application",))


def _pop_refused(found: Fault, evidence: Evidence) -> Finding:
    opened = _mailbox_opened(evidence)
    if opened:
        return Finding(fault("pop-disabled"), opened)
    known = _service_principal_known(evidence, "smtp", "imap")
    if known:
        return Finding(fault("full-access-missing"), known)
    return _service_principal_suspected(found, evidence)


def _graph_denied(found: Fault, evidence: Evidence) -> Finding:
    """The claims were judged before: with the role, in the token or by a scope, only a scope can stand in the way."""
    if evidence.scoped:
        return Finding(fault("graph-out-of-scope"), ("The application has its roles by RBAC for Applications",))
    if evidence.claims is None or not evidence.claims.roles:
        return Finding(found)
    roles = ", ".join(sorted(evidence.claims.roles))
    return Finding(fault("graph-out-of-scope"), (f"The token's roles are {roles}",))


_PASSWORD_REFUSED = {
    "smtp-sign-in-refused": "smtp-password-refused",
    "imap-sign-in-refused": "password-refused",
    "pop-sign-in-refused": "password-refused",
}
"""Exchange refuses a password over IMAP and POP3 in the same words as a token."""

_BY_WHAT_WORKED: Mapping[str, Callable[[Fault, Evidence], Finding]] = MappingProxyType(
    {
        "smtp-sign-in-refused": _smtp_refused,
        "imap-sign-in-refused": _imap_refused,
        "imap-not-connected": _imap_not_connected,
        "pop-sign-in-refused": _pop_refused,
        "graph-access-denied": _graph_denied,
        "graph-token-refused": lambda found, _: Finding(found),
    }
)


def _service_principal_suspected(found: Fault, evidence: Evidence) -> Finding:
    """With a token in which all is right, the service principal is what is checked next. Without one, who knows."""
    claims = evidence.claims
    if claims is None or not claims.audience:
        return Finding(found)
    signs = [f"The token is for {claims.audience} and has the roles {', '.join(sorted(claims.roles)) or '(scoped)'}"]
    if claims.service_principal_id:
        signs.append(f"Its service principal has the object id {claims.service_principal_id}")
    return Finding(fault("exchange-service-principal"), tuple(signs))


def _service_principal_known(evidence: Evidence, *services: str) -> tuple[str, ...]:
    steps = ("sign-in", "sender", "data", "folder", "read")
    return tuple(
        f"The same application signed in over {service.upper()} in this test"
        for service in services
        if evidence.worked & {f"{service}-{step}" for step in steps}
    )


def _mailbox_opened(evidence: Evidence) -> tuple[str, ...]:
    """Only who has the right on the mailbox gets this far (facts 4.2)."""
    signs = {
        "smtp-data": "Exchange took a message from this mailbox over SMTP in this test, so the right on it is there",
        "imap-folder": "A folder of this mailbox was opened over IMAP in this test, so the right on it is there",
        "pop3-folder": "This mailbox was opened over POP3 in this test, so the right on it is there",
    }
    return tuple(sign for worked, sign in signs.items() if worked in evidence.worked)


def _bare(resource: str) -> str:
    return resource.rstrip("/").lower()
