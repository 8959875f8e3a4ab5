"""The verbs of listeners: list, get, find, save, remove."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from django.db import transaction

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.bridge.models import Listener
from postroom.bridge.rules import judge, tidy, warnings
from postroom.bridge.values import ListenerData
from postroom.core.faults import Invalid, NotFound
from postroom.mailboxes import service as mailboxes

_FIELDS = tuple(field.name for field in fields(ListenerData))


@dataclass(frozen=True, slots=True)
class ListenerRow:
    """One line of the list."""

    id: int
    data: ListenerData
    warnings: tuple[str, ...]
    fault: str


def list_listeners() -> list[ListenerRow]:
    return [
        ListenerRow(row.pk, data, tuple(warnings(data)), row.fault)
        for row in Listener.objects.all()
        for data in [data_of(row)]
    ]


def get(listener_id: int) -> Listener:
    """Raises `NotFound`."""
    return _one(Listener.objects.filter(pk=listener_id).first())


def find(name: str) -> Listener:
    """Raises `NotFound`."""
    return _one(Listener.objects.filter(name__iexact=name.strip()).first())


def data_of(row: Listener) -> ListenerData:
    values: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return ListenerData(**values | lists)


@transaction.atomic
def save(data: ListenerData, by: Actor, listener_id: int | None = None) -> Listener:
    """Adds a port, or changes one; processes that listen follow within seconds. Raises `Invalid`, `NotFound`."""
    row = get(listener_id) if listener_id is not None else Listener()
    before = asdict(data_of(row)) if row.pk else {}
    data = tidy(data)
    faults = judge(data, {mailbox.id for mailbox in mailboxes.list_mailboxes()})
    others = Listener.objects.exclude(pk=row.pk)
    if others.filter(name__iexact=data.name).exists():
        faults.setdefault("name", []).append("is taken by another port; choose another")
    if others.filter(address=data.address, port=data.port).exists():
        faults.setdefault("port", []).append("is taken by another listener on this address; choose another")
    if faults:
        raise Invalid(faults)
    for field, value in asdict(data).items():
        setattr(row, field, list(value) if isinstance(value, tuple) else value)
    row.fault = ""
    row.save()
    audit.record(by, "listener.changed" if before else "listener.added", row.name, audit.changes(before, asdict(data)))
    return row


@transaction.atomic
def remove(listener_id: int, by: Actor) -> None:
    """Raises `NotFound`."""
    row = get(listener_id)
    audit.record(by, "listener.removed", row.name)
    row.delete()


def note_fault(listener_id: int, fault: str) -> None:
    """What the process that tried to listen found; written only when it is news."""
    Listener.objects.filter(pk=listener_id).exclude(fault=fault[:300]).update(fault=fault[:300])


def _one(row: Listener | None) -> Listener:
    if row is None:
        raise NotFound("there is no such listener", "See which there are: postroom listener list")
    return row
