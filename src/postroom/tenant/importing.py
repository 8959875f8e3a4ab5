"""What a colleague sends back, checked like everything that is typed in, and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import yaml
from django.db import transaction

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.faults import Invalid
from postroom.mailboxes import credentials
from postroom.microsoft.ids import is_guid
from postroom.microsoft.mixups import check_application, check_secret
from postroom.tenant import setups
from postroom.tenant.export import ANSWER
from postroom.tenant.keeping import Keeper
from postroom.tenant.models import Setup

_FIELDS = {
    "tenant": "tenant",
    "client_id": "client_id",
    "object_id": "application_object_id",
    "service_principal_id": "service_principal_id",
}
"""A mix-up's field -> the key here."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken."""

    setup: str
    ids: dict[str, str]
    secret: bool
    mailboxes: tuple[str, ...]
    """Addresses whose configuration was saved."""


def take(setup: Setup, text: str, by: Actor) -> Imported:
    """Takes an answer: YAML or JSON with the keys of `export.ANSWER`, all at once or piece by piece.

    Raises `Invalid`, each fault under its key. A secret is in no message.
    """
    given = _read(text)
    _judge(setup, given)
    with transaction.atomic():
        setup.tenant_id = given.get("tenant") or setup.tenant_id
        setup.client_id = given.get("client_id") or setup.client_id
        setup.application_id = given.get("application_object_id") or setup.application_id
        setup.service_principal_id = given.get("service_principal_id") or setup.service_principal_id
        _complete(setup)
        setup.save()
        keeper = Keeper(setup, by)
        owner = keeper.application()
        if given.get("secret"):
            keeper.make_room(owner)
            view = credentials.add(owner, "secret", given["secret"], _day(given.get("secret_expires", "")), by)
            credentials.promote(view.id, by)
        addresses = tuple(mailbox.address for mailbox in setups.wanted_of(setup).mailboxes)
        for address in addresses:
            keeper.save_configuration(address)
        ids = {key: given[key] for key in given if not key.startswith("secret")}
        audit.record(by, "tenant.imported", setup.name, ids)
    return Imported(setup.name, ids, bool(given.get("secret")), addresses)


def _read(text: str) -> dict[str, str]:
    """The keys that are there. Raises `Invalid`."""
    try:
        data = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        data = None  # the parser's own message could quote the secret
    if not isinstance(data, Mapping):
        raise Invalid({"": ["is neither YAML nor JSON with one key a line; paste the block as it was sent"]})
    unknown = sorted(str(key) for key in data if key not in ANSWER)
    if unknown:
        known = ", ".join(ANSWER)
        raise Invalid({key: [f"is not a key of an answer; known are: {known}"] for key in unknown})
    return {str(key): _plain(value) for key, value in data.items() if value not in (None, "")}


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value).strip()


def _judge(setup: Setup, given: Mapping[str, str]) -> None:
    """Raises `Invalid`."""
    faults: dict[str, list[str]] = {}
    ids = {field: given.get(key, "") for field, key in _FIELDS.items()}
    for mixup in check_application(**ids):
        faults.setdefault(_FIELDS.get(mixup.field, mixup.field), []).append(str(mixup))
    if "secret" in given:
        for mixup in check_secret(given["secret"], [value for value in ids.values() if value]):
            faults.setdefault("secret", []).append(str(mixup))
    if "tenant" in given and not is_guid(given["tenant"]):
        faults["tenant"] = ["is not a GUID; copy Directory (tenant) ID from the App registration's Overview"]
    if setup.tenant_id and given.get("tenant", setup.tenant_id).lower() != setup.tenant_id.lower():
        faults["tenant"] = [f"is another tenant than the set-up's ({setup.tenant_id}); ask for the right one's"]
    if "secret_expires" in given:
        try:
            _day(given["secret_expires"])
        except ValueError:
            faults["secret_expires"] = ["is not a date; write it as 2027-05-31"]
    if faults:
        raise Invalid(faults)


def _complete(setup: Setup) -> None:
    """The ids without which no mailbox can be configured. Raises `Invalid`."""
    lacking = {
        key: [f"is missing; copy {ANSWER[key]} from the portal"]
        for key, value in (
            ("tenant", setup.tenant_id),
            ("client_id", setup.client_id),
            ("application_object_id", setup.application_id),
            ("service_principal_id", setup.service_principal_id),
        )
        if not value
    }
    if lacking:
        raise Invalid(lacking)


def _day(text: str) -> datetime | None:
    """The end of that day. Raises `ValueError`."""
    if not text:
        return None
    day = date.fromisoformat(text[:10])
    return datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)
