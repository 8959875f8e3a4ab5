"""Proofs as rows: run one here or in the background, look at the latest. Stages are written as they come."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from django.db import connection, transaction

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.faults import Fault, Invalid, NotFound
from postroom.mail.addresses import BadAddress, parse
from postroom.mailboxes import connect, service
from postroom.mailboxes.models import Mailbox, Proof
from postroom.mailboxes.proof import Patience, prove
from postroom.mailboxes.stages import Stage, passed, waiting

_log = logging.getLogger(__name__)

_AT_ONCE = threading.BoundedSemaphore(4)
"""Proofs that run in the background at the same time; further ones wait their turn."""
_SIGN_OF_LIFE = timedelta(minutes=5)
"""Longer than any single step takes: a run that has been silent for so long died with its process."""

Watch = Callable[[Stage], None]


def start(mailbox_id: int, recipient: str, by: Actor, patience: Patience | None = None) -> Proof:
    """Runs a proof in the background, and returns its row. One that runs for the mailbox already is returned instead.

    Raises `NotFound`, and `Invalid` for a recipient that is missing or malformed.
    """
    mailbox, recipient = service.get(mailbox_id), _judged(recipient)
    with transaction.atomic():
        Mailbox.objects.select_for_update().get(pk=mailbox.pk)
        running = latest(mailbox_id)
        if running is not None and running.finished_at is None:
            return running
        row = _begin(mailbox, recipient, by)
    background = threading.Thread(
        target=_in_background, args=(row, mailbox, by, patience), name=f"proof-{row.pk}", daemon=True
    )
    transaction.on_commit(background.start)
    return row


def run(
    mailbox_id: int, recipient: str, by: Actor, *, patience: Patience | None = None, watch: Watch | None = None
) -> Proof:
    """Runs a proof here and now, telling each change to `watch`. Raises as `start`."""
    mailbox, recipient = service.get(mailbox_id), _judged(recipient)
    row = _begin(mailbox, recipient, by)
    _run(row, mailbox, by, patience, watch)
    return row


def latest(mailbox_id: int) -> Proof | None:
    """The newest one, running or done; None when there was none."""
    row = Proof.objects.filter(mailbox_id=mailbox_id).first()
    return None if row is None else _settled(row)


def get(proof_id: int) -> Proof:
    """Raises `NotFound`."""
    try:
        return _settled(Proof.objects.get(pk=proof_id))
    except Proof.DoesNotExist:
        raise NotFound(f"there is no proof {proof_id}", "run a new one: postroom mailbox test NAME") from None


def _judged(recipient: str) -> str:
    if not recipient.strip():
        fault = "is empty: the test message goes to your own e-mail address, so give it here, or add it to your profile"
        raise Invalid({"recipient": [fault]})
    try:
        return parse(recipient, "recipient").mailbox
    except BadAddress as error:
        raise Invalid({"recipient": [str(error).removeprefix("recipient: ")]}) from None


def _begin(mailbox: Mailbox, recipient: str, by: Actor) -> Proof:
    row = Proof.objects.create(mailbox=mailbox, recipient=recipient, stages=[stage.to_json() for stage in waiting()])
    audit.record(by, "mailbox.test-started", mailbox.name, {"recipient": recipient})
    return row


def _in_background(row: Proof, mailbox: Mailbox, by: Actor, patience: Patience | None) -> None:
    try:
        with _AT_ONCE:
            _run(row, mailbox, by, patience, None)
    finally:
        connection.close()


def _run(row: Proof, mailbox: Mailbox, by: Actor, patience: Patience | None, watch: Watch | None) -> None:
    stages = {stage.stage: stage for stage in waiting()}

    def tell(stage: Stage) -> None:
        stages[stage.stage] = stage
        row.stages = [one.to_json() for one in stages.values()]
        row.save(update_fields=["stages", "touched_at"])
        if watch is not None:
            watch(stage)

    try:
        _follow(prove(connect.ready(mailbox), row.recipient, patience), tell)
    except Fault as fault:  # it cannot even begin
        for name in stages:
            tell(Stage(name, "skipped", "not reached"))
        tell(Stage("resolve", "failed", f"{fault}: {fault.fix}" if fault.fix else str(fault)))
    except Exception:
        _log.exception("proof %s of mailbox %s ended in a fault of Postroom", row.pk, mailbox.pk)
        tell(Stage("resolve", "failed", "a fault of Postroom ended the test; the log says more"))
    finally:
        _finish(row, passed(stages))
        audit.record(by, "mailbox.tested", mailbox.name, {"passed": row.passed, "recipient": row.recipient})


def _follow(stages: AsyncIterator[Stage], tell: Watch) -> None:
    """Steps through the stages in an event loop of its own; between two of them the tables may be written."""

    async def following() -> Stage | None:
        return await anext(stages, None)

    with asyncio.Runner() as runner:
        while (stage := runner.run(following())) is not None:
            tell(stage)


def _settled(row: Proof) -> Proof:
    """A run that died with its process is shown as failed."""
    if row.finished_at is None and now() - row.touched_at > _SIGN_OF_LIFE:
        for stage in row.stages:
            if stage["state"] in {"running", "waiting"}:
                stage |= {"state": "failed" if stage["state"] == "running" else "skipped", "detail": "interrupted"}
        _finish(row, False)
    return row


def _finish(row: Proof, has_passed: bool) -> None:
    row.passed, row.finished_at = has_passed, now()
    row.save(update_fields=["stages", "passed", "finished_at", "touched_at"])
