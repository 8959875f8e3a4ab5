"""App credentials: what programs sign in with. Made here, shown once, checked here; kept only as digests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet

from postroom.accounts import audit
from postroom.accounts.app_rules import AppData, is_in, is_name, judge, tidy
from postroom.accounts.audit import Actor
from postroom.accounts.models import App, AppSecret
from postroom.core.clock import now
from postroom.core.faults import Fault, Invalid, NotFound

OVERLAP = timedelta(days=7)
"""How long the old secret goes on working beside a new one."""
_CHARACTERS = 26
"""Of base32: 130 bits of chance, and no more than the oldest printers can hold."""
_NOTED_EVERY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Grant:
    """A program that has signed in, and how far it may go."""

    app_id: int
    secret_id: int
    name: str
    mailboxes: frozenset[int] | None
    senders: tuple[str, ...]
    """Empty: the addresses of its mailboxes."""
    messages_per_minute: int | None


class Denied(Fault):
    """No such app, a wrong or ended secret, switched off, or from elsewhere. `reason` is for the log, not the wire."""

    def __init__(self, reason: str) -> None:
        super().__init__("user name or secret is wrong", "Make a new secret: postroom app rotate NAME")
        self.reason = reason


def list_apps(search: str = "") -> QuerySet[App]:
    """With their secrets that still work."""
    standing = AppSecret.objects.filter(_standing(now()))
    return App.objects.filter(name__icontains=search.strip()).prefetch_related(Prefetch("secrets", standing))


def get(app_id: int) -> App:
    """Raises `NotFound`."""
    return _one(list_apps().filter(pk=app_id))


def find(name: str) -> App:
    """Raises `NotFound`."""
    return _one(list_apps().filter(name=name.strip().lower()))


def data_of(app: App) -> AppData:
    return AppData(
        app.name,
        None if app.mailboxes is None else tuple(app.mailboxes),
        tuple(app.senders),
        tuple(app.networks),
        app.messages_per_minute,
        app.enabled,
    )


@transaction.atomic
def add(data: AppData, by: Actor) -> tuple[App, str]:
    """The app and its secret, which is never shown again. Raises `Invalid`."""
    data = _checked(data, None)
    app = App.objects.create(**asdict(data))
    audit.record(by, "app.added", app.name, _for_log(data))
    return app, _new_secret(app)


@transaction.atomic
def change(app_id: int, data: AppData, by: Actor) -> App:
    """Everything but the secret. Sessions that are open follow within seconds. Raises `Invalid`, `NotFound`."""
    app = get(app_id)
    before, data = data_of(app), _checked(data, app_id)
    for field, value in asdict(data).items():
        setattr(app, field, value)
    app.save()
    audit.record(by, "app.changed", app.name, audit.changes(_for_log(before), _for_log(data)))
    return app


@transaction.atomic
def rotate(app_id: int, by: Actor, overlap: timedelta = OVERLAP) -> str:
    """A new secret; those before it go on working for `overlap`. Raises `NotFound`."""
    app, moment = get(app_id), now()
    ends = moment + overlap
    earlier = AppSecret.objects.filter(app=app)
    earlier.filter(ends_at__lte=moment).delete()
    earlier.filter(Q(ends_at=None) | Q(ends_at__gt=ends)).update(ends_at=ends)
    audit.record(by, "app.rotated", app.name, {"old_ends_at": ends.isoformat(timespec="seconds")})
    return _new_secret(app)


@transaction.atomic
def remove(app_id: int, by: Actor) -> None:
    """Its sessions end within seconds; what it handed in stays. Raises `NotFound`."""
    app = get(app_id)
    audit.record(by, "app.removed", app.name)
    app.delete()


def sign_in(name: str, secret: str, address: str) -> Grant:
    """What the program may do. `address` is its IP address. Raises `Denied`."""
    moment, name = now(), name.strip().lower()
    digest = _digest(secret)
    # What cannot be a name is not even asked for: databases choke on NUL and on broken UTF-8.
    app = list_apps().filter(name=name).first() if is_name(name) else None
    if app is None:
        raise Denied("no such app")
    right = next((row for row in app.secrets.all() if hmac.compare_digest(row.digest, digest)), None)
    if right is None:
        raise Denied("wrong or ended secret")
    grant = _grant(app, right, address)
    _note_use(right, moment)
    return grant


def still(grant: Grant, address: str) -> Grant:
    """The grant as it is now, for a session that has been open for a while. Raises `Denied`."""
    right = AppSecret.objects.select_related("app").filter(_standing(now()), pk=grant.secret_id).first()
    if right is None:
        raise Denied("the secret has ended, or the app is gone")
    return _grant(right.app, right, address)


def _grant(app: App, secret: AppSecret, address: str) -> Grant:
    if not app.enabled:
        raise Denied("the app is switched off")
    if app.networks and not is_in(address, app.networks):
        raise Denied(f"{address} is in none of the app's networks")
    mailboxes = None if app.mailboxes is None else frozenset(app.mailboxes)
    return Grant(app.pk, secret.pk, app.name, mailboxes, tuple(app.senders), app.messages_per_minute)


def _note_use(secret: AppSecret, moment: datetime) -> None:
    if secret.last_used_at is None or moment - secret.last_used_at > _NOTED_EVERY:
        AppSecret.objects.filter(pk=secret.pk).update(last_used_at=moment)


def _standing(moment: datetime) -> Q:
    return Q(ends_at=None) | Q(ends_at__gt=moment)


def _new_secret(app: App) -> str:
    secret = base64.b32encode(secrets.token_bytes(20)).decode().lower()[:_CHARACTERS]
    AppSecret.objects.create(app=app, digest=_digest(secret), hint=secret[-4:])
    return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(b"postroom-app:" + secret.strip().lower().encode("utf-8", "surrogateescape")).hexdigest()


def _checked(data: AppData, app_id: int | None) -> AppData:
    data = tidy(data)
    faults = judge(data)
    others = App.objects.all() if app_id is None else App.objects.exclude(pk=app_id)
    if others.filter(name=data.name).exists():
        faults.setdefault("name", []).append("is taken by another app; choose another")
    if faults:
        raise Invalid(faults)
    return data


def _for_log(data: AppData) -> dict[str, object]:
    return {field: list(value) if isinstance(value, tuple) else value for field, value in asdict(data).items()}


def _one(found: QuerySet[App]) -> App:
    app = found.first()
    if app is None:
        raise NotFound("there is no such app", "See which there are: postroom app list")
    return app
