"""The verbs of mailboxes: list, get, save, copy, delete, make default, switch on and off.

Each change is written to the audit log, with before and after. Nothing here calls out.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.mailboxes import credentials, health, passwords, providers
from postroom.mailboxes.health import Health, LastProof, State
from postroom.mailboxes.known_clouds import known_clouds
from postroom.mailboxes.models import Application, Mailbox, Proof, Provider
from postroom.mailboxes.passwords import Tell
from postroom.mailboxes.rules import CHOICES, judge_mailbox, tidy
from postroom.mailboxes.rules import effective as fill_in
from postroom.mailboxes.values import Effective, Invalid, MailboxData, NotFound

__all__ = ["Effective", "Invalid", "MailboxData", "MailboxRow", "NotFound"]

_log = logging.getLogger(__name__)
_APPLICATION_FIELDS = ("cloud", "tenant", "client_id", "object_id", "service_principal_id")
_MAILBOX_FIELDS = tuple(
    field.name for field in fields(MailboxData) if field.name not in {*_APPLICATION_FIELDS, "provider", "copies_to"}
)


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """One line of the list of mailboxes. Making one never fails: what is broken says so in `health` (X11)."""

    id: int
    name: str
    address: str
    provider: str
    send_by: str
    read_by: str
    """`none` also when reading is switched off."""
    sign_in_by: str
    enabled: bool
    is_default: bool
    health: Health
    changed_at: datetime


def list_mailboxes(search: str = "") -> list[MailboxRow]:
    """Mailboxes whose name or address contains `search`, by name."""
    text = search.strip()
    found = Mailbox.objects.filter(Q(name__icontains=text) | Q(address__icontains=text))
    whole = found.select_related("provider", "application").prefetch_related("application__credentials", "passwords")
    mailboxes = list(whole)
    proofs = _latest_proofs(mailboxes)
    return [_row(mailbox, proofs.get(mailbox.pk)) for mailbox in mailboxes]


def get(mailbox_id: int) -> Mailbox:
    """Raises `NotFound`."""
    try:
        return Mailbox.objects.select_related("provider", "application").get(pk=mailbox_id)
    except Mailbox.DoesNotExist:
        raise NotFound(f"there is no mailbox {mailbox_id}", "see: postroom mailbox list") from None


def find(name: str) -> Mailbox:
    """The mailbox with this name, address or number; "" is the default one. Raises `NotFound`."""
    everything = Mailbox.objects.select_related("provider", "application")
    if not name:
        chosen = everything.filter(is_default=True).first()
        if chosen is None:
            raise NotFound("no mailbox is the default one", "name one, or run: postroom mailbox default NAME")
        return chosen
    by_name = list(everything.filter(name__iexact=name)) or list(everything.filter(address__iexact=name))
    if not by_name and name.isdecimal():
        by_name = list(everything.filter(pk=int(name)))
    if not by_name:
        raise NotFound(f"there is no mailbox {name!r}", "see: postroom mailbox list")
    if len(by_name) > 1:
        names = ", ".join(mailbox.name for mailbox in by_name)
        raise NotFound(f"{name!r} is the address of several mailboxes", f"give the name of one: {names}")
    return by_name[0]


def own_addresses(mailbox_ids: Collection[int] | None) -> tuple[str, ...]:
    """What these mailboxes send as by themselves: their addresses and default senders. None: all of them."""
    rows = Mailbox.objects.all() if mailbox_ids is None else Mailbox.objects.filter(pk__in=mailbox_ids)
    pairs = rows.values_list("address", "default_sender")
    return tuple(dict.fromkeys(address.lower() for pair in pairs for address in pair if address))


def data_of(mailbox: Mailbox) -> MailboxData:
    """The row as a value, to edit with `dataclasses.replace` and save again."""
    values: dict[str, Any] = {name: getattr(mailbox, name) for name in _MAILBOX_FIELDS}
    values |= {"provider": mailbox.provider.slug, "copies_to": tuple(mailbox.copies_to)}
    if mailbox.application:
        values |= {name: _text(getattr(mailbox.application, name)) for name in _APPLICATION_FIELDS}
    return MailboxData(**values)


def effective(mailbox: Mailbox) -> Effective:
    """The mailbox with everything filled in from provider and cloud. Raises `Invalid` when its cloud is gone."""
    return _filled_in(data_of(mailbox), mailbox.provider)


def effective_of(data: MailboxData) -> Effective:
    """The same for a mailbox as it might be. Raises `Invalid`, `NotFound`."""
    return _filled_in(data, providers.get(data.provider))


def _filled_in(data: MailboxData, provider: Provider) -> Effective:
    cloud = known_clouds().get(data.cloud)
    if cloud is None:
        raise Invalid(
            {"cloud": [f"the cloud {data.cloud!r} is not known here any more; choose another, or add its file"]}
        )
    return fill_in(data, providers.data_of(provider), cloud)


@transaction.atomic
def save(data: MailboxData, by: Actor, mailbox_id: int | None = None, tell: Tell = passwords.nobody) -> Mailbox:
    """Adds a mailbox, or changes the one given. The first mailbox becomes the default one.

    A stored password that would now go elsewhere is dropped, and `tell` is told. Raises `Invalid` with sentences for
    each field, `NotFound`.
    """
    mailbox = get(mailbox_id) if mailbox_id is not None else Mailbox()
    data = tidy(data)
    provider = _judge(data, mailbox)
    before = asdict(data_of(mailbox)) if mailbox.pk else {}
    went_to = passwords.goes_to(mailbox, providers.data_of(mailbox.provider)) if mailbox.pk else frozenset()
    for name in _MAILBOX_FIELDS:
        setattr(mailbox, name, getattr(data, name))
    for name in CHOICES:
        setattr(mailbox, name, getattr(data, name) or getattr(provider, name))
    mailbox.copies_to = list(data.copies_to)
    mailbox.provider = provider
    left = mailbox.application
    mailbox.application = _application(data, mailbox) if data.client_id else None
    if not before and not Mailbox.objects.filter(is_default=True).exists():
        mailbox.is_default = True
    mailbox.save()
    _forget_if_unused(left, by)
    after = asdict(data_of(mailbox))
    audit.record(by, "mailbox.changed" if before else "mailbox.created", mailbox.name, audit.changes(before, after))
    if before and passwords.drop_if_elsewhere(mailbox, went_to, providers.data_of(provider), by):
        tell(passwords.REMOVED)
    return mailbox


def copy(mailbox_id: int, name: str, by: Actor) -> Mailbox:
    """A new mailbox with all settings of the one given; the application and its credentials are shared,
    a password is not copied. Raises `Invalid`, `NotFound`."""
    return save(replace(data_of(get(mailbox_id)), name=name), by)


@transaction.atomic
def delete(mailbox_id: int, by: Actor) -> None:
    """Deletes it with its password and proofs; and its application with all credentials, when it was the last
    mailbox to use it. Raises `NotFound`."""
    mailbox = get(mailbox_id)
    name, application, before = mailbox.name, mailbox.application, asdict(data_of(mailbox))
    mailbox.delete()
    audit.record(by, "mailbox.deleted", name, audit.changes(before, {}))
    _forget_if_unused(application, by)


@transaction.atomic
def make_default(mailbox_id: int, by: Actor) -> Mailbox:
    """Mail that names no mailbox goes through this one. Raises `NotFound`."""
    mailbox = get(mailbox_id)
    if not mailbox.is_default:
        before = Mailbox.objects.filter(is_default=True).values_list("name", flat=True).first() or ""
        Mailbox.objects.filter(is_default=True).update(is_default=False)
        # Not `save`: the mark says nothing about how the mailbox works, so `changed_at` stays.
        Mailbox.objects.filter(pk=mailbox.pk).update(is_default=True)
        mailbox.is_default = True
        audit.record(by, "mailbox.made-default", mailbox.name, {"before": before})
    return mailbox


@transaction.atomic
def set_enabled(mailbox_id: int, enabled: bool, by: Actor) -> Mailbox:
    """A mailbox that is switched off neither sends nor reads; it can still be tested. Raises `NotFound`."""
    mailbox = get(mailbox_id)
    if mailbox.enabled != enabled:
        Mailbox.objects.filter(pk=mailbox.pk).update(enabled=enabled)
        mailbox.enabled = enabled
        audit.record(by, "mailbox.enabled" if enabled else "mailbox.disabled", mailbox.name)
    return mailbox


def health_of(mailbox: Mailbox, proof: Proof | None) -> Health:
    """Judged from what is stored. Never raises."""
    try:
        effective(mailbox)
        stored = credentials.states_of(mailbox)
        last = None
        if proof is not None and proof.finished_at is not None:
            last = LastProof(bool(proof.passed), proof.finished_at, _reason(proof))
        return health.judge(
            last,
            stored,
            needs_credential=mailbox.sign_in_by != "none",
            changed_at=mailbox.changed_at,
            now=now(),
        )
    except Exception as error:  # one broken row must not take the page of all the others with it (X11)
        _log.warning("mailbox %s cannot be read", mailbox.pk, exc_info=error)
        return Health(State.UNREADABLE, f"cannot be read: {error}")


def _judge(data: MailboxData, mailbox: Mailbox) -> Provider:
    try:
        provider = providers.get(data.provider)
    except NotFound as error:
        raise Invalid({"provider": [str(error)]}) from None
    errors = judge_mailbox(data, providers.data_of(provider), known_clouds())
    if data.name and Mailbox.objects.filter(name__iexact=data.name).exclude(pk=mailbox.pk).exists():
        errors.setdefault("name", []).append(f"there is a mailbox called {data.name!r} already; choose another name")
    if errors:
        raise Invalid(errors)
    return provider


def _application(data: MailboxData, mailbox: Mailbox) -> Application:
    """The application with these ids: found, or the mailbox's own with a corrected id, or a new one."""
    key = {"cloud": data.cloud, "tenant": data.tenant.lower(), "client_id": UUID(data.client_id)}
    found = Application.objects.filter(**key).first()
    own = mailbox.application
    if found is None and own is not None and not own.mailboxes.exclude(pk=mailbox.pk).exists():
        found = own  # a typing error put right: its credentials stay
    application = found or Application()
    values: dict[str, Any] = key | {
        "object_id": _uuid(data.object_id),
        "service_principal_id": _uuid(data.service_principal_id),
    }
    if found is not None and found != own:  # a mailbox that joins an application need not know its other ids
        values = {name: value if value is not None else getattr(found, name) for name, value in values.items()}
    changed = [name for name, value in values.items() if getattr(application, name) != value]
    if application.pk is None or changed:
        if application.pk is not None:
            credentials.forget_tokens(application)
        for name, value in values.items():
            setattr(application, name, value)
        application.save()
    return application


def _forget_if_unused(application: Application | None, by: Actor) -> None:
    """Credentials that no mailbox uses are not kept."""
    if application is None or application.mailboxes.exists():
        return
    credentials.forget_tokens(application)
    client_id = str(application.client_id)
    application.delete()
    audit.record(by, "application.deleted", client_id, {"why": "its last mailbox is gone or uses another one"})


def _latest_proofs(mailboxes: Sequence[Mailbox]) -> dict[int, Proof]:
    """The latest finished proof of each."""
    ids = [mailbox.pk for mailbox in mailboxes]
    finished = Proof.objects.filter(mailbox_id__in=ids, finished_at__isnull=False).order_by("id")
    newest = dict(finished.values_list("mailbox_id", "id"))
    return {proof.mailbox_id: proof for proof in Proof.objects.filter(pk__in=newest.values())}


def _row(mailbox: Mailbox, proof: Proof | None) -> MailboxRow:
    return MailboxRow(
        id=mailbox.pk,
        name=mailbox.name,
        address=mailbox.address,
        provider=mailbox.provider.name,
        send_by=mailbox.send_by,
        read_by=mailbox.read_by if mailbox.read_inbox else "none",
        sign_in_by=mailbox.sign_in_by,
        enabled=mailbox.enabled,
        is_default=mailbox.is_default,
        health=health_of(mailbox, proof),
        changed_at=mailbox.changed_at,
    )


def _reason(proof: Proof) -> str:
    for stage in proof.stages:
        if stage.get("state") == "failed":
            return str((stage.get("diagnosis") or {}).get("cause") or stage.get("detail", ""))
    return ""


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _uuid(text: str) -> UUID | None:
    return UUID(text) if text else None
