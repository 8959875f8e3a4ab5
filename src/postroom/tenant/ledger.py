"""What a step makes, as an entry of the ledger: written before the step is done, so that a kill loses none. Pure.

Application, service principal and credentials have no entry here: what they are called is only known afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from postroom.tenant.calls import Call, Change, Cmdlet, GraphCall
from postroom.tenant.steps import Step

_ELSEWHERE = frozenset({"application", "principal", "credential", "credential-remove", "certificate-remove", "remove"})
"""Kinds of steps that have no entry here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing made. `kind` is a `models.MadeKind`; `detail` is what taking it away needs."""

    kind: str
    remote_id: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def entries(step: Step, known: Mapping[str, str]) -> tuple[Entry, ...]:
    """What the step makes. Raises `calls.NotKnown` before the ids that it needs are there."""
    kind, _, rest = step.key.partition(":")
    if kind == "configuration":
        return (Entry("configuration", rest),)
    if kind in _ELSEWHERE:
        return ()
    return tuple(entry for call in step.calls if (entry := _entry(step.key, call.filled(known))))


def _entry(key: str, call: Call) -> Entry | None:
    if isinstance(call, GraphCall):
        return _in_directory(key, call)
    return _in_exchange(call)


def _in_directory(key: str, call: GraphCall) -> Entry | None:
    body = call.body or {}
    if key.startswith("consent:"):
        return Entry("consent", key.partition(":")[2], {"resource": body["resourceId"], "role": body["appRoleId"]})
    if key.startswith("licence:") and "addLicenses" in body:
        user = call.path.split("/")[2]
        return Entry("licence", key.partition(":")[2], {"user": user, "sku": body["addLicenses"][0]["skuId"]})
    return None


def _in_exchange(call: Cmdlet) -> Entry | None:
    given = call.parameters
    match call.name:
        case "New-ServicePrincipal":
            return Entry("exchange-principal", given["ObjectId"])
        case "New-Mailbox":
            return Entry("mailbox", given["PrimarySmtpAddress"])
        case "Add-MailboxPermission":
            detail = {"mailbox": given["Identity"], "trustee": given["User"]}
            return Entry("mailbox-right", f"{given['Identity']} {given['User']}", detail)
        case "Add-RecipientPermission":
            detail = {"mailbox": given["Identity"], "trustee": given["Trustee"]}
            return Entry("send-as", f"{given['Identity']} {given['Trustee']}", detail)
        case "Set-Mailbox":
            added: Change = given["GrantSendOnBehalfTo"]
            detail = {"mailbox": given["Identity"], "trustee": added.values[0]}
            return Entry("send-on-behalf", f"{given['Identity']} {added.values[0]}", detail)
        case "Set-CASMailbox":
            changed = sorted(set(given) - {"Identity"})
            return Entry("switch", given["Identity"], {"mailbox": given["Identity"], "switches": changed})
        case "New-ManagementScope":
            return Entry("scope", given["Name"])
        case "New-ManagementRoleAssignment":
            return Entry("scoped-role", given["Name"])
    return None
