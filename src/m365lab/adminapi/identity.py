"""What an -Identity, -User or -Trustee means: mailboxes, people, and service principals as Exchange knows them."""

from __future__ import annotations

import uuid

from m365lab.adminapi.cmdlet import Run, not_found
from m365lab.exchange import KnownPrincipal, Mailbox, spreading_key

_NAMESPACE = uuid.UUID("6f0c6c53-5f0e-4c39-9d0a-0b6b1b0d6c11")


def guid(mailbox: Mailbox) -> str:
    """Exchange's own id of a mailbox, which is not the directory's."""
    return str(uuid.uuid5(_NAMESPACE, mailbox.user_id or mailbox.address))


def mailbox_of(run: Run, identity: str) -> Mailbox:
    """By address, alias, name or id. Raises `CmdletError`; also while a new one is still spreading (facts 4.4)."""
    found = find_mailbox(run, identity)
    if found is None or not run.tenant.has_spread(spreading_key("mailbox", found.address)):
        raise not_found(identity)
    return found


def find_mailbox(run: Run, identity: str) -> Mailbox | None:
    wanted = identity.strip().lower()
    by_address = run.tenant.exchange.mailbox(wanted)
    if by_address is not None:
        return by_address
    for mailbox in run.tenant.exchange.mailboxes.values():
        if wanted in {mailbox.alias, mailbox.name.lower(), mailbox.user_id, guid(mailbox)}:
            return mailbox
    return None


def principal_of(run: Run, identity: str) -> KnownPrincipal:
    """By object id, application id or name. Raises `CmdletError`."""
    found = find_principal(run, identity)
    if found is None:
        raise not_found(identity)
    return found


def find_principal(run: Run, identity: str) -> KnownPrincipal | None:
    wanted = identity.strip().lower()
    for known in run.tenant.exchange.principals:
        if wanted in {known.object_id.lower(), known.app_id.lower(), known.name.lower()} - {""}:
            return known
    return None


def trustee_of(run: Run, identity: str) -> str:
    """Who is to get a right: the object id of a service principal that Exchange knows, or a mailbox's address.

    Raises `CmdletError`: a service principal must be made known to Exchange first (facts 4.1).
    """
    known = find_principal(run, identity)
    if known is not None:
        return known.object_id
    mailbox = find_mailbox(run, identity)
    if mailbox is None:
        raise not_found(identity)
    return mailbox.address


def shown_trustee(run: Run, holder: str) -> str:
    """The holder as Get- cmdlets list it: a principal's object id, a person's address."""
    mailbox = next((m for m in run.tenant.exchange.mailboxes.values() if holder in {m.user_id, m.address}), None)
    return mailbox.address if mailbox else holder


def given(run: Run, right: str, *parts: str) -> None:
    """Notes that a right was given just now, for the fault "propagation"."""
    run.tenant.exchange.given[spreading_key(right, *parts)] = run.tenant.clock.time()
