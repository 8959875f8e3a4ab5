"""Verbs that the console does in the background, written down as they go: the page may be left and come back to.

Nothing is lost with the process that does one: what it has done is in the tables, and the verb is simply begun anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.faults import Fault, NotFound
from postroom.mailboxes.stages import Stage
from postroom.microsoft.answers import Refused
from postroom.microsoft.errors import explain
from postroom.tenant import remove, rotate, service, setups, verify, workers
from postroom.tenant.models import Job, Run, Setup
from postroom.tenant.progress import Progress

_log = logging.getLogger(__name__)
_SIGN_OF_LIFE = timedelta(minutes=20)
"""Longer than any single step waits: a job of another machine that has been silent for so long died with it."""
_AT_WORK: set[int] = set()
"""Jobs that this very process does."""

Json = dict[str, Any]


class _Book:
    """Writes down what a verb tells."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._steps: dict[str, Json] = {step["key"]: step for step in job.steps}
        self._is_fresh = True

    def note(self, sentence: str) -> None:
        self._job.note = sentence
        self._job.save(update_fields=["note", "touched_at"])

    def step(self, progress: Progress) -> None:
        if self._is_fresh:
            self._settle_earlier()
        diagnosis = progress.diagnosis.to_json() if progress.diagnosis else None
        self._steps[progress.key] = _step(
            progress.key, progress.title, progress.state, progress.detail, diagnosis=diagnosis
        )
        self._save()

    def stage(self, way: str, stage: Stage) -> None:
        stages: Json = self._steps.setdefault(way, {"key": way, "title": way, "stages": {}})["stages"]
        stages[stage.stage] = stage.to_json()
        self._save()

    def _settle_earlier(self) -> None:
        """Steps that were shown, and that this run finds done already."""
        self._is_fresh = False
        run = Run.objects.filter(plan__setup=self._job.setup).first()
        left = {step["key"] for step in run.steps} if run else set()
        for key, step in self._steps.items():
            if key not in left:
                step |= {"state": "done", "detail": "was done before"}

    def _save(self) -> None:
        self._job.steps = list(self._steps.values())
        self._job.save(update_fields=["steps", "touched_at"])


def start(setup: Setup, verb: str, by: Actor, arguments: Mapping[str, Any] | None = None) -> Job:
    """Begins the verb in the background. One that is at work for the set-up already is returned instead.

    Raises `NotFound` for a plan to be applied that was not shown, `KeyError` for a verb that does not exist.
    """
    work, given = _VERBS[verb], dict(arguments or {})
    with transaction.atomic():
        Setup.objects.select_for_update().get(pk=setup.pk)
        running = latest(setup)
        if running is not None and running.finished_at is None:
            return running
        job = Job.objects.create(
            setup=setup,
            verb=verb,
            by=by.name,
            worker=workers.name(),
            steps=_steps_of_plan(setup, given.get("hash", "")),
        )
        _AT_WORK.add(job.pk)  # before anybody can see the row, and wonder whether somebody does it
    thread = threading.Thread(target=_do, args=(job, work, by, given), name=f"tenant-{verb}-{job.pk}", daemon=True)
    transaction.on_commit(thread.start)
    return job


def latest(setup: Setup, verb: str = "") -> Job | None:
    """The newest job of the set-up, running or done, of this verb (of any when none is named)."""
    job = Job.objects.filter(setup=setup, **({"verb": verb} if verb else {})).first()
    if job is None or job.finished_at is not None:
        return job
    if not workers.lives(job.worker, job.touched_at, _SIGN_OF_LIFE, here=job.pk in _AT_WORK):
        fault = {"message": "Postroom was stopped while this was at work", "fix": "Go on: it takes up what is left."}
        _finish(job, False, fault=fault)
    return job


def _steps_of_plan(setup: Setup, hash_: str) -> list[Json]:
    """The steps that were shown; none for a verb that follows no plan. Raises `NotFound`."""
    if not hash_:
        return []
    shown = setups.by_hash(hash_)
    if shown.setup_id != setup.pk:
        raise NotFound(f"the plan {hash_!r} is not one of {setup.name}", "Look at the plan of this set-up.")
    return [_step(step["key"], step["title"], "planned") for step in shown.content["steps"]]


def _step(key: str, title: str, state: str, detail: str = "", diagnosis: Json | None = None) -> Json:
    return {"key": key, "title": title, "state": state, "detail": detail, "diagnosis": diagnosis}


def _do(job: Job, work: Work, by: Actor, arguments: Mapping[str, Any]) -> None:
    try:
        passed, result = work(Setup.objects.get(pk=job.setup_id), by, _Book(job), arguments)
        _finish(job, passed, result=result)
    except Refused as refused:
        diagnosis = explain(refused.answer)
        _finish(job, False, fault={"message": diagnosis.cause, "fix": diagnosis.fix, "diagnosis": diagnosis.to_json()})
    except Fault as fault:
        _finish(job, False, fault={"message": str(fault), "fix": fault.fix})
    except Exception:
        _log.exception("job %s (%s of set-up %s) ended in a fault of Postroom", job.pk, job.verb, job.setup_id)
        fix = f"Look in the log of postroom serve for job {job.pk}; what was done so far is kept."
        _finish(job, False, fault={"message": "a fault of Postroom ended this", "fix": fix})
    finally:
        _AT_WORK.discard(job.pk)
        connection.close()


def _finish(job: Job, passed: bool, *, result: Json | None = None, fault: Json | None = None) -> None:
    job.finished_at, job.passed, job.note = now(), passed, ""
    job.result, job.fault = result or {}, fault or {}
    for step in job.steps:
        if step.get("state") in {"running", "waiting"}:
            step |= {"state": "planned", "detail": ""}
        for stage in step.get("stages", {}).values():  # as proofs settle theirs
            if stage["state"] in {"running", "waiting"}:
                stage |= {"state": "failed" if stage["state"] == "running" else "skipped", "detail": "interrupted"}
    job.save()


# The verbs -------------------------------------------------------------------------------------------------------

Work = Callable[[Setup, Actor, _Book, Mapping[str, Any]], tuple[bool, Json]]


def _look(setup: Setup, by: Actor, book: _Book, arguments: Mapping[str, Any]) -> tuple[bool, Json]:
    del arguments
    shown = service.show(setup, by, tell=book.note)
    return True, shown.to_data() | {"tenant_name": shown.observed.tenant_name}


def _apply(setup: Setup, by: Actor, book: _Book, arguments: Mapping[str, Any]) -> tuple[bool, Json]:
    del setup  # the plan knows its own
    outcome = service.apply(arguments["hash"], by, listen=book.step, tell=book.note)
    return outcome.passed, outcome.to_data()


def _verify(setup: Setup, by: Actor, book: _Book, arguments: Mapping[str, Any]) -> tuple[bool, Json]:
    found = verify.verify(setup, arguments["recipient"], by, watch=book.stage)
    return found.passed, found.to_data()


def _rotate(setup: Setup, by: Actor, book: _Book, arguments: Mapping[str, Any]) -> tuple[bool, Json]:
    done = rotate.rotate(setup, by, listen=book.step, remove_now=arguments["remove_now"])
    return True, {
        "new": done.new,
        "old": list(done.old),
        "removed": list(done.removed),
        "ends_at": f"{done.ends_at:%Y-%m-%d}" if done.ends_at else "",
        "remove_after": f"{done.remove_after:%Y-%m-%d %H:%M} UTC" if done.remove_after else "",
    }


def _remove(setup: Setup, by: Actor, book: _Book, arguments: Mapping[str, Any]) -> tuple[bool, Json]:
    outcome = remove.remove(setup, by, with_mailboxes=arguments["with_mailboxes"], listen=book.step)
    return outcome.passed, outcome.to_data()


_VERBS: Mapping[str, Work] = {
    "look": _look,
    "apply": _apply,
    "verify": _verify,
    "rotate": _rotate,
    "remove": _remove,
}
