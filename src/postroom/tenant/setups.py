"""Set-ups as rows: save a wanted state, find it, tell what Postroom itself knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.faults import Invalid, NotFound
from postroom.mailboxes import applications
from postroom.mailboxes import service as mailboxes
from postroom.mailboxes.credentials import CredentialView
from postroom.mailboxes.models import Application, Mailbox
from postroom.tenant.models import Made, MadeKind, Setup, ShownPlan
from postroom.tenant.observe import LocalState
from postroom.tenant.observed import Configured, Held
from postroom.tenant.signin import cloud_of
from postroom.tenant.steps import Plan
from postroom.tenant.wanted import Wanted
from postroom.tenant.wanted_file import read, write


@dataclass(frozen=True, slots=True)
class SetupRow:
    """One line of the list of set-ups."""

    name: str
    cloud: str
    tenant: str
    mailboxes: tuple[str, ...]
    client_id: str
    changed_at: datetime


@transaction.atomic
def save(text: str, by: Actor) -> Setup:
    """Adds the set-up that the YAML describes, or changes the one of its name. Raises `Invalid`."""
    wanted = read(text)
    cloud_of(wanted.cloud)
    row = Setup.objects.filter(name=wanted.title).first() or Setup(name=wanted.title)
    if row.pk and (row.cloud, row.tenant) != (wanted.cloud, wanted.tenant):
        fault = f"the set-up {row.name!r} is about the tenant {row.tenant}; give this one another name, by the key name"
        raise Invalid({"tenant": [fault]})
    canonical = write(wanted)
    if row.wanted != canonical:
        action = "tenant.changed" if row.pk else "tenant.created"
        row.wanted, row.cloud, row.tenant = canonical, wanted.cloud, wanted.tenant
        row.save()
        audit.record(by, action, row.name, {"wanted": canonical})
    return row


def get(name: str) -> Setup:
    """The set-up of this name, or with "" the only one there is. Raises `NotFound`."""
    rows = list(Setup.objects.filter(name__iexact=name) if name else Setup.objects.all()[:2])
    if len(rows) == 1:
        return rows[0]
    if not name and rows:
        raise NotFound("there are several set-ups", "Name one; see: postroom tenant list")
    raise NotFound(
        f"there is no set-up {name!r}" if name else "there is no set-up yet", "Run: postroom tenant plan FILE"
    )


def rows() -> list[SetupRow]:
    """All set-ups, by name."""
    return [
        SetupRow(
            row.name,
            row.cloud,
            row.tenant,
            tuple(mailbox.address for mailbox in wanted_of(row).mailboxes),
            row.client_id,
            row.changed_at,
        )
        for row in Setup.objects.all()
    ]


def wanted_of(setup: Setup) -> Wanted:
    return read(setup.wanted)


def by_hash(hash_: str) -> ShownPlan:
    """The plan that was shown under this hash, or a beginning of it. Raises `NotFound`."""
    found = list(ShownPlan.objects.filter(hash__startswith=hash_).select_related("setup")[:2]) if hash_ else []
    if len(found) != 1:
        what = "is not one that was shown" if not found else "is the beginning of several; give more of it"
        raise NotFound(f"the plan {hash_!r} {what}", "Run: postroom tenant plan FILE")
    return found[0]


def keep_plan(setup: Setup, plan: Plan) -> ShownPlan:
    """Notes that the plan was shown, so that it may be applied."""
    defaults = {"wanted": setup.wanted, "content": plan.to_data()}
    return ShownPlan.objects.update_or_create(setup=setup, hash=plan.hash, defaults=defaults)[0]


def tenants_of(setup: Setup) -> tuple[str, ...]:
    """The names by which the set-up's tenant may be written; first the one that new rows get."""
    return tuple(dict.fromkeys(filter(None, (setup.tenant_id, setup.tenant))))


def application_of(setup: Setup) -> Application | None:
    """Postroom's own row of the set-up's application."""
    if not setup.client_id:
        return None
    return applications.find(setup.cloud, tenants_of(setup), setup.client_id)


def configuration_of(setup: Setup, address: str) -> Mailbox | None:
    """The mailbox configuration for an address: of several, the one that uses the set-up's application."""
    found = [row for row in mailboxes.list_mailboxes(address) if row.address.lower() == address]
    boxes = [mailboxes.get(row.id) for row in found]
    ours = [box for box in boxes if box.application and str(box.application.client_id) == setup.client_id]
    return next(iter(ours or boxes), None)


def local_state(setup: Setup) -> LocalState:
    """What Postroom itself knows: ids learnt, credentials held, configurations."""
    application = application_of(setup)
    views = applications.credentials_of(application) if application else []
    made = {row.credential_id: row for row in Made.objects.filter(setup=setup, gone_at=None)}
    held = [_held(view, made.get(view.id)) for view in views]
    kept = {view.id for view in views}
    return LocalState(
        mark=setup.mark,
        tenant_id=setup.tenant_id,
        client_id=setup.client_id,
        made_application=Made.objects.filter(
            setup=setup, gone_at=None, kind=MadeKind.APPLICATION, remote_id=setup.application_id
        ).exists(),
        held=(*held, *_orphans(setup, kept)),
        configured=_configured(setup),
    )


def _held(view: CredentialView, made: Made | None) -> Held:
    thumbprint = view.hint.removeprefix("thumbprint ") if view.kind == "certificate" else ""
    return Held(
        kind=view.kind,
        remote_id=thumbprint or (made.remote_id if made else ""),
        expires_at=view.expires_at,
        refused=bool(view.refused_with),
        readable=not view.fault,
        replaced_at=made.replaced_at if made else None,
        made_here=made is not None,
    )


def _orphans(setup: Setup, kept: set[int]) -> list[Held]:
    """Secrets that were made here, and whose value is no longer kept: over, from the moment they were made."""
    rows = Made.objects.filter(setup=setup, gone_at=None, kind=MadeKind.SECRET).exclude(credential_id__in=kept)
    return [Held("secret", row.remote_id, replaced_at=row.replaced_at or row.made_at, made_here=True) for row in rows]


def _configured(setup: Setup) -> Mapping[str, Configured]:
    found = {}
    for mailbox in wanted_of(setup).mailboxes:
        box = configuration_of(setup, mailbox.address)
        if box is not None:
            data: Any = mailboxes.data_of(box)
            read_by = data.read_by if data.read_inbox else "none"
            found[mailbox.address] = Configured(data.client_id, data.service_principal_id, data.send_by, read_by)
    return found
