"""*-ServicePrincipal: what Exchange is told of Entra's service principals (facts 4.1). It believes any object id."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from m365lab.adminapi.cmdlet import Row, Run, already_exists, bad_value, cmdlet
from m365lab.adminapi.identity import given, principal_of
from m365lab.exchange import KnownPrincipal


@cmdlet("New-ServicePrincipal", "AppId", "ObjectId", "ServiceId", "DisplayName")
def new(run: Run) -> Iterator[Row]:
    app_id, object_id = _guid(run, "AppId"), _guid(run, "ObjectId" if run.has("ObjectId") else "ServiceId")
    for known in run.tenant.exchange.principals:
        if known.app_id == app_id or known.object_id == object_id:
            raise already_exists(f"The service principal with AppId '{known.app_id}' and ObjectId '{known.object_id}'")
    made = KnownPrincipal(app_id, object_id, run.text("DisplayName"))
    run.tenant.exchange.principals.append(made)
    given(run, "principal", object_id)
    yield _shown(made)


@cmdlet("Get-ServicePrincipal", "Identity")
def get(run: Run) -> Iterator[Row]:
    if run.has("Identity"):
        yield _shown(principal_of(run, run.needed("Identity")))
    else:
        yield from map(_shown, run.tenant.exchange.principals)


@cmdlet("Set-ServicePrincipal", "Identity", "DisplayName")
def set_(run: Run) -> Iterator[Row]:
    """Only the name: wrong ids are mended by Remove and New."""
    principal_of(run, run.needed("Identity")).name = run.text("DisplayName")
    yield from ()


@cmdlet("Remove-ServicePrincipal", "Identity")
def remove(run: Run) -> Iterator[Row]:
    """Its rights go with it."""
    known = principal_of(run, run.needed("Identity"))
    exchange = run.tenant.exchange
    exchange.principals.remove(known)
    exchange.scopes[:] = [scope for scope in exchange.scopes if scope.app_id != known.app_id]
    for mailbox in exchange.mailboxes.values():
        for holders in (mailbox.full_access, mailbox.send_as):
            holders.discard(known.object_id)
    yield from ()


def _guid(run: Run, name: str) -> str:
    value = run.needed(name)
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise bad_value(f'Cannot convert value "{value}" to type "System.Guid" for the parameter {name}.') from error


def _shown(known: KnownPrincipal) -> Row:
    return {
        "AppId": known.app_id,
        "DisplayName": known.name,
        "Guid": known.object_id,
        "Id": known.object_id,
        "Identity": known.object_id,
        "Name": known.object_id,
        "ObjectId": known.object_id,
        "ServiceId": known.object_id,
    }
