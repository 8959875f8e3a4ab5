"""A sign-in by device code that no process waits for: each call asks Entra once, and what is to go on is kept sealed.

So the page that shows the code may be left, and Postroom started anew, while an administrator looks for their phone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.encryption import CannotOpen, seal, unseal
from postroom.core.faults import Fault
from postroom.core.settings import settings
from postroom.microsoft.answers import Refused
from postroom.microsoft.clouds import Cloud
from postroom.tenant.device import Code, Device, NotSignedIn
from postroom.tenant.models import PendingSignIn, Setup
from postroom.tenant.signin import SignedIn, cloud_of, keep_device

_AGAIN = "Have a new code shown."


@dataclass(frozen=True, slots=True)
class Waiting:
    """A code that was given out and not yet typed."""

    user_code: str
    address: str
    """Where it is to be typed."""
    service: str
    """What it is for: the directory, or Exchange."""
    expires_at: datetime
    interval: int
    """Seconds between two questions."""


def begin(setup: Setup, by: Actor) -> Waiting | SignedIn:
    """Has a new code given out; an older one of this set-up is forgotten. Raises `Refused`."""
    cloud = cloud_of(setup.cloud)
    device = Device(cloud, setup.tenant, settings().proxy)
    return _next(setup, cloud, device, by)


def waiting(setup: Setup) -> Waiting | None:
    """The code that waits, if one does. Asks nobody."""
    row = PendingSignIn.objects.filter(setup=setup, expires_at__gt=now()).first()
    return None if row is None else _view(row)


def ask(setup: Setup, by: Actor) -> Waiting | SignedIn:
    """Asks Entra whether the code was typed, unless that was asked a moment ago.

    Raises `Fault` when no code waits, `Refused` when it has expired or was declined; it is then forgotten.
    """
    row = PendingSignIn.objects.filter(setup=setup).first()
    if row is None:
        raise Fault("no code waits to be typed", _AGAIN)
    asked_at, moment = row.asked_at, now()
    too_soon = moment < asked_at + timedelta(seconds=row.interval)
    # Two windows that show the same code ask once between them: whoever writes the time down first.
    if too_soon or not PendingSignIn.objects.filter(pk=row.pk, asked_at=asked_at).update(asked_at=moment):
        return _view(row)
    cloud = cloud_of(setup.cloud)
    device, code = _opened(row, cloud)
    try:
        if not device.has_finished(code):
            return _view(row)
    except Refused:
        row.delete()
        raise
    return _next(setup, cloud, device, by)


def forget(setup: Setup) -> None:
    """No code waits any more."""
    PendingSignIn.objects.filter(setup=setup).delete()


def _next(setup: Setup, cloud: Cloud, device: Device, by: Actor) -> Waiting | SignedIn:
    """A code for the first service that cannot be reached yet; the sign-in when there is none."""
    for resource, service in ((cloud.graph_resource, "the directory"), (cloud.exchange_resource, "Exchange")):
        try:
            device.token(resource)
        except NotSignedIn:
            return _view(_keep(setup, device, device.begin(resource), service))
    done = keep_device(device, cloud, setup.tenant, by)
    forget(setup)
    return done


def _keep(setup: Setup, device: Device, code: Code, service: str) -> PendingSignIn:
    forget(setup)
    row = PendingSignIn(
        setup=setup,
        user_code=code.user_code,
        address=code.address,
        service=service,
        interval=int(code.flow.get("interval") or 5),
        asked_at=now(),
        expires_at=datetime.fromtimestamp(code.expires_at, UTC),
    )
    kept = {"flow": dict(code.flow), "client": code.client, "state": device.state()}
    row.sealed = seal(json.dumps(kept), _purpose(row))
    row.save()
    return row


def _opened(row: PendingSignIn, cloud: Cloud) -> tuple[Device, Code]:
    try:
        kept = json.loads(unseal(bytes(row.sealed), _purpose(row)))
    except CannotOpen as error:
        raise Fault(f"the stored sign-in cannot be opened: {error}", _AGAIN) from error
    code = Code(row.user_code, row.address, row.expires_at.timestamp(), kept["flow"], kept["client"])
    return Device(cloud, row.setup.tenant, settings().proxy, kept["state"]), code


def _purpose(row: PendingSignIn) -> str:
    return f"tenant-pending-sign-in:{row.key}"


def _view(row: PendingSignIn) -> Waiting:
    return Waiting(row.user_code, row.address, row.service, row.expires_at, row.interval)
