"""A new credential beside the old: made, proved, switched to; the old one goes after a grace time.

Nothing stops meanwhile: until the new one is proved the old one is used, and tokens that it proved live on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.faults import Fault
from postroom.mailboxes import applications, credentials
from postroom.mailboxes.credentials import CredentialView
from postroom.mailboxes.models import Application
from postroom.microsoft.answers import Refused
from postroom.tenant import setups
from postroom.tenant.calls import APPLICATION_ID, GraphCall
from postroom.tenant.deeds import Patience
from postroom.tenant.expiry import due
from postroom.tenant.keeping import Keeper
from postroom.tenant.local import Errands
from postroom.tenant.models import Made, MadeKind, Setup
from postroom.tenant.plan_credential import GRACE, certificate_step, secret_step
from postroom.tenant.progress import Progress
from postroom.tenant.rights import Right
from postroom.tenant.seeing import admin_of, carry_out, connected, working
from postroom.tenant.steps import Plan, Step, assemble
from postroom.tenant.wanted import CredentialKind
from postroom.tenant.wanted_file import write

_NOT_SPREAD = frozenset({"AADSTS7000215", "AADSTS700027", "AADSTS7000222"})
"""What Entra says of a credential that it has just been given, for seconds up to a minute or two (facts 5)."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation came to."""

    setup: str
    new: str
    """Hint of the new credential."""
    ends_at: datetime | None
    old: tuple[str, ...]
    """Hints of those it replaces."""
    removed: tuple[str, ...]
    """Key ids of what is gone already."""
    remove_after: datetime | None


@dataclass(frozen=True, slots=True)
class Expiring:
    """A credential that ends soon, or has ended."""

    setup: str
    credential: str
    ends_at: datetime
    days: int
    threshold: int
    """The warning that is due: 60, 30, 14, 7, 1 days; 0 when it has ended."""


def rotate(
    setup: Setup,
    by: Actor,
    *,
    listen: Callable[[Progress], None] = lambda _: None,
    patience: Patience | None = None,
    sleep: Callable[[float], None] = time.sleep,
    remove_now: bool = False,
) -> Rotated:
    """Raises `Fault` when it cannot be done, or a step of it failed (the old credential is then still in use);
    `Refused` when the new one does not prove the application within the patience."""
    patience = patience or Patience()
    keeper = Keeper(setup, by)
    owner = _owner(setup)
    finish(setup, by, listen=listen, patience=patience)
    old = _old(owner)
    _work(setup, keeper, _new_credential(setup), listen, patience)
    new = next((view for view in credentials.list_of(owner) if view.id not in {one.id for one in old}), None)
    if new is None:
        raise Fault("no new credential was stored; the old one is still in use", "Run it again: postroom tenant rotate")
    _proved(new, patience, sleep)
    credentials.promote(new.id, by)
    _retire(setup, old, by)
    audit.record(by, "tenant.rotated", setup.name, {"new": new.hint, "old": [one.hint for one in old]})
    removed = finish(setup, by, listen=listen, patience=patience, at_once=True) if remove_now else ()
    after = None if remove_now or not old else now() + GRACE
    return Rotated(setup.name, new.hint, new.expires_at, tuple(one.hint for one in old), removed, after)


def finish(
    setup: Setup,
    by: Actor,
    *,
    listen: Callable[[Progress], None] = lambda _: None,
    patience: Patience | None = None,
    at_once: bool = False,
) -> tuple[str, ...]:
    """Removes what was replaced longer ago than the grace time (`at_once`: all of it), at Entra and here.

    Returns key ids and thumbprints.
    """
    over = Made.objects.filter(setup=setup, gone_at=None, replaced_at__isnull=False)
    if not at_once:
        over = over.filter(replaced_at__lte=now() - GRACE)
    steps = [_removal(row.kind, row.remote_id) for row in over]
    if steps:
        _work(setup, Keeper(setup, by), _plan(setup, steps), listen, patience or Patience())
    return tuple(step.key.partition(":")[2] for step in steps)


def expiring() -> list[Expiring]:
    """Credentials of all set-ups for which a warning is due today."""
    found = []
    for setup in Setup.objects.all():
        owner = setups.application_of(setup)
        for view in credentials.list_of(owner) if owner else ():
            threshold = due(view.expires_at, now())
            if threshold is not None and view.expires_at is not None:
                days = (view.expires_at - now()).days
                found.append(Expiring(setup.name, f"{view.label} {view.hint}", view.expires_at, days, threshold))
    return found


def _retire(setup: Setup, old: list[CredentialView], by: Actor) -> None:
    """Notes when they were replaced. One that a person had made at Entra goes here at once; there it is theirs."""
    ours = Made.objects.filter(setup=setup, credential_id__in=[one.id for one in old], gone_at=None)
    made_here = set(ours.values_list("credential_id", flat=True))
    ours.update(replaced_at=now())
    for one in old:
        if one.id not in made_here:
            credentials.remove(one.id, by)


def _owner(setup: Setup) -> Application:
    owner = setups.application_of(setup)
    if owner is None:
        raise Fault(f"{setup.name} has no application yet", "Run: postroom tenant apply")
    return owner


def _old(owner: Application) -> list[CredentialView]:
    stored = credentials.list_of(owner)
    if len([view for view in stored if not view.fault]) >= credentials.MOST:
        raise Fault(
            "a rotation is under way: there are two credentials already",
            "Remove the old one now: postroom tenant rotate --remove-now",
        )
    return stored


def _new_credential(setup: Setup) -> Plan:
    wanted = setups.wanted_of(setup)
    match wanted.credential.kind:
        case CredentialKind.SECRET:
            return _plan(setup, [secret_step(wanted)])
        case CredentialKind.CERTIFICATE:
            return _plan(setup, [certificate_step(wanted)])
        case CredentialKind.FEDERATED:
            raise Fault("a federated credential does not end", "There is nothing to rotate.")


def _removal(kind: str, remote_id: str) -> Step:
    why, needs = "It was replaced, and its grace time is over.", (Right.WRITE_APPLICATIONS,)
    if kind == MadeKind.CERTIFICATE:
        return Step(f"certificate-remove:{remote_id}", f"Remove the old certificate {remote_id}", why, (), needs)
    call = GraphCall("POST", f"/applications/{APPLICATION_ID}/removePassword", {"keyId": remote_id})
    return Step(f"credential-remove:{remote_id}", f"Remove the old client secret {remote_id}", why, (call,), needs)


def _plan(setup: Setup, steps: list[Step]) -> Plan:
    return assemble(write(setups.wanted_of(setup)), setup.tenant_id, steps, ())


def _work(setup: Setup, keeper: Keeper, plan: Plan, listen: Callable[[Progress], None], patience: Patience) -> None:
    """Does the steps as an apply does. Raises `Fault` when one fails."""
    admin = admin_of(setup)

    async def work(errands: Errands[Progress]) -> None:
        async with connected(admin, lambda _: None) as sight:
            await errands.ask(lambda: keeper.begin(setups.keep_plan(setup, plan), plan))
            await carry_out(sight, plan, keeper, errands, patience, frozenset({"application"}))

    try:
        working(work, listen)
    finally:
        keeper.close()
    run = keeper.finish({})
    for step in run.steps:
        if step["state"] != "done":
            raise Fault(f"{step['title']}: {step['detail']}", "The credential in use is as it was; run it again.")


def _proved(new: CredentialView, patience: Patience, sleep: Callable[[float], None]) -> None:
    """Waits until Entra takes it. Raises `Refused` when that takes too long."""
    waited, pause = 0.0, patience.first_pause
    while True:
        try:
            applications.prove_credential(new.id)
        except Refused as refused:
            if refused.answer.code not in _NOT_SPREAD or waited + pause > patience.spreading:
                raise
        else:
            return
        sleep(pause)
        waited, pause = waited + pause, min(pause * 2, patience.longest_pause)
