"""The lane's row: what a lane reads of it, and what it says there of itself. Blocking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import transaction

from postroom.accounts import audit
from postroom.core.clock import now
from postroom.core.faults import Fault
from postroom.mailboxes.models import Mailbox
from postroom.microsoft.errors import Diagnosis
from postroom.outbox import store
from postroom.outbox.models import Lane
from postroom.outbox.rules import Brake

_log = structlog.get_logger("postroom.outbox")

MOVING, WAITING, STOPPED, HELD = "moving", "waiting", "stopped", "held"


@dataclass(frozen=True, slots=True)
class LaneRow:
    """What others tell a lane."""

    held: bool = False
    other_way: bool = False
    fallback: int | None = None
    resume: bool = False
    """The time to try it again has come, or was brought forward."""
    braked: bool = False


def read(mailbox: int) -> LaneRow:
    row, _ = Lane.objects.get_or_create(mailbox_id=mailbox)
    braked = row.state in {WAITING, STOPPED}
    resume = braked and row.resume_at is not None and row.resume_at <= now()
    return LaneRow(row.state == HELD, row.other_way, row.fallback_id, resume, braked)


def braked(
    mailbox: int, brake: Brake, diagnosis: Diagnosis, pause: float, learned: float | None, *, whole: bool, first: bool
) -> None:
    """The lane, or one of its ways, does not move. `first`: nobody has been told of this fault."""
    moment = now()
    row = Lane.objects.get(mailbox_id=mailbox)
    state = STOPPED if brake is Brake.STOPPED else WAITING
    changes: dict[str, object] = {"diagnosis": diagnosis.to_json(), "learned_per_minute": learned}
    if whole and row.state != HELD:
        changes |= {"state": state, "resume_at": moment + timedelta(seconds=pause)}
        if row.state != state:
            changes["since"] = moment
    Lane.objects.filter(mailbox_id=mailbox).update(**changes)
    if first:
        _log.warning("lane braked", mailbox=mailbox, brake=brake.value, fault=diagnosis.fault.id, cause=diagnosis.cause)
    if whole and state == STOPPED and row.state != STOPPED:
        # One alert for each stop, however often it is tried: the audit log and what listens to it.
        audit.record(audit.SYSTEM, "lane.stopped", _name(mailbox), {"fault": diagnosis.fault.id})


def moving(mailbox: int) -> None:
    """Something went through."""
    row = Lane.objects.get(mailbox_id=mailbox)
    if row.state in {WAITING, STOPPED}:
        Lane.objects.filter(mailbox_id=mailbox).update(state=MOVING, resume_at=None, since=now(), diagnosis=None)
        _log.info("lane moves again", mailbox=mailbox)
    if row.state == STOPPED:
        audit.record(audit.SYSTEM, "lane.moving", _name(mailbox))


def cannot_send(mailbox: int, fault: Fault) -> None:
    """The mailbox's settings do not allow sending; what waits is kept."""
    row = Lane.objects.get(mailbox_id=mailbox)
    if row.state == HELD:
        return
    changes = {"state": STOPPED, "diagnosis": {"cause": str(fault), "fix": fault.fix}, "resume_at": None}
    Lane.objects.filter(mailbox_id=mailbox).update(**changes, **({} if row.state == STOPPED else {"since": now()}))
    if row.state != STOPPED:
        audit.record(audit.SYSTEM, "lane.stopped", _name(mailbox), {"cause": str(fault)})


def hand_on(mailbox: int, why: str) -> int:
    """Hands what waits to the first mailbox in the chain of those that stand in whose lane is not braked itself."""
    stand_in = _stand_in(mailbox)
    if stand_in is None:
        return 0
    with transaction.atomic():
        moved = store.move(mailbox, stand_in, f"from {_name(mailbox)} to {_name(stand_in)}: {why}")
    if moved:
        _log.warning("messages go through another mailbox", mailbox=mailbox, stand_in=stand_in, messages=moved)
    return moved


def _stand_in(mailbox: int) -> int | None:
    seen = {mailbox}
    rows = {row.mailbox_id: row for row in Lane.objects.all()}
    enabled = set(Mailbox.objects.filter(enabled=True).exclude(send_by="none").values_list("id", flat=True))
    at = rows[mailbox].fallback_id if mailbox in rows else None
    while at is not None and at not in seen:
        seen.add(at)
        row = rows.get(at)
        if at in enabled and (row is None or row.state == MOVING):
            return at
        at = row.fallback_id if row else None
    return None


def _name(mailbox: int) -> str:
    return Mailbox.objects.filter(pk=mailbox).values_list("name", flat=True).first() or str(mailbox)
