"""The verbs of Azure applications, for whoever sets one up: find, keep, tell its credentials."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import transaction

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.mailboxes import connect, credentials
from postroom.mailboxes.credentials import CredentialView
from postroom.mailboxes.known_clouds import known_clouds
from postroom.mailboxes.models import Application, Credential
from postroom.microsoft.claims import Claims


def find(cloud: str, tenants: Collection[str], client_id: str) -> Application | None:
    """The application; `tenants` are the names by which its tenant may have been written: id, domains."""
    names = [name.lower() for name in tenants]
    return Application.objects.filter(cloud=cloud, tenant__in=names, client_id=UUID(client_id)).first()


@transaction.atomic
def keep(
    cloud: str,
    tenants: Collection[str],
    client_id: str,
    by: Actor,
    *,
    name: str,
    object_id: str,
    service_principal_id: str = "",
    scoped_roles: Iterable[str] = (),
) -> Application:
    """Adds the application, under the first of `tenants`, or brings its ids up to date. An id that is "" stays."""
    row = find(cloud, tenants, client_id)
    values = {
        "name": name,
        "object_id": UUID(object_id),
        "scoped_roles": sorted(scoped_roles),
        **({"service_principal_id": UUID(service_principal_id)} if service_principal_id else {}),
    }
    if row is None:
        row = Application(cloud=cloud, tenant=next(iter(tenants)).lower(), client_id=UUID(client_id))
        audit.record(by, "application.created", client_id, {"name": name, "tenant": row.tenant})
    elif all(getattr(row, field) == value for field, value in values.items()):
        return row
    for field, value in values.items():
        setattr(row, field, value)
    row.save()
    credentials.forget_tokens(row)
    return row


def prove_credential(credential_id: int) -> Claims:
    """The claims of a token for Exchange that this credential alone has proved. Raises `Refused`, `Fault`."""
    row = Credential.objects.select_related("application").get(pk=credential_id)
    clouds = known_clouds()
    resource = clouds[row.application.cloud].exchange_resource if row.application else ""
    return connect.token_by(row, resource).claims


def credentials_of(application: Application) -> list[CredentialView]:
    """First the one in use."""
    return credentials.list_of(application)
