"""Where a set-up stands, for the console: what is done of it, what comes next, and what of it needs somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.faults import Fault, Invalid, NotFound
from postroom.mailboxes import applications
from postroom.mailboxes.credentials import CredentialView
from postroom.tenant import jobs, remove, rotate, setups
from postroom.tenant.models import Job, Run, Setup, SignIn
from postroom.tenant.picture import Picture, picture
from postroom.tenant.rotate import Expiring
from postroom.tenant.steps import Weight
from postroom.tenant.wanted import Wanted
from postroom.tenant.wanted_file import read

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Health:
    """How a set-up is doing, as a badge."""

    word: str
    tone: str
    """`good`, `bad`, `warn`, `accent`, or "" for neither."""
    text: str
    """One sentence for people."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list of set-ups."""

    id: int
    name: str
    tenant: str
    cloud: str
    mailboxes: tuple[str, ...]
    health: Health
    ends_at: datetime | None
    """When the credential ends that lives longest."""


@dataclass(frozen=True, slots=True)
class SignedInAs:
    name: str
    kind: str
    """`device` or `application`."""
    since: datetime


@dataclass(frozen=True, slots=True)
class Way:
    """One mailbox in one pair of ways, as it is being proved."""

    title: str
    stages: list[Json]

    @property
    def passed(self) -> bool:
        states = {stage["state"] for stage in self.stages}
        return "passed" in states and states <= {"passed", "skipped"}

    @property
    def failed(self) -> bool:
        return any(stage["state"] == "failed" for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Standing:
    """All that the console's pages of one set-up show. Made without calling anybody."""

    setup: Setup
    wanted: Wanted
    signed_in: SignedInAs | None
    look: Job | None
    """The latest look at the tenant, if it was for the state that is wanted now."""
    applied: bool
    """Whether what is wanted now was brought about, whatever has drifted since."""
    apply_job: Job | None
    verify_job: Job | None
    running: Job | None
    """What is at work now, whatever it is."""
    imported: bool
    """Whether a colleague sent the ids back, without an apply from here."""
    credentials: tuple[CredentialView, ...]
    expiring: Expiring | None
    boxes: tuple[tuple[str, int | None], ...]
    """Address, and id of its mailbox configuration."""

    @property
    def proved(self) -> bool:
        return self.verify_job is not None and bool(self.verify_job.passed)

    @property
    def plan(self) -> Json | None:
        """The plan as it was shown last."""
        return self.look.result if self.look is not None and self.look.passed else None

    @property
    def to_do(self) -> bool:
        """Whether the plan that is shown has steps that nobody has done yet."""
        has_steps = self.plan is not None and bool(self.plan["steps"])
        return has_steps and not (self.step_states and self.apply_job is not None and self.apply_job.passed)

    @property
    def drift(self) -> Sequence[Json]:
        """What was not as wanted when the tenant was last looked at; nothing is said where an apply came after."""
        seen = [job for job in (self.look, self.verify_job) if job is not None and job.result]
        last = max(seen, key=lambda job: job.pk, default=None)
        if last is None or (self.apply_job is not None and self.apply_job.pk > last.pk):
            return ()
        found: Sequence[Json] = last.result.get("drift", ())
        return found

    @property
    def step_states(self) -> Mapping[str, Json]:
        """How the steps of the plan stand, by key; empty before an apply of this plan has begun."""
        job = self.apply_job
        if job is None or self.look is None or self.look.pk > job.pk:
            return {}
        return {step["key"]: step for step in job.steps}

    def ways(self) -> list[Way]:
        """What the latest proof has walked so far."""
        steps = self.verify_job.steps if self.verify_job else []
        return [Way(_in_words(step["title"]), list(step["stages"].values())) for step in steps]

    def picture(self) -> Picture:
        """Of the plan as it was shown, and of how far it is done."""
        if self.plan is None:
            return picture(self.wanted, [] if self.applied else None)
        states = {key: step["state"] for key, step in self.step_states.items()}
        return picture(self.wanted, self.plan["steps"], self.plan["drift"], states)

    def lines(self) -> list[Json]:
        """The steps of the plan, each with its state."""
        shown = self.plan["steps"] if self.plan else []
        return [{"state": "planned", **step, **self.step_states.get(step["key"], {})} for step in shown]

    @property
    def done(self) -> int:
        """How many steps of the plan are done."""
        return sum(line["state"] == "done" for line in self.lines())


def get(setup_id: int) -> Setup:
    """Raises `NotFound`."""
    try:
        return Setup.objects.get(pk=setup_id)
    except Setup.DoesNotExist:
        raise NotFound(f"there is no set-up {setup_id}", "Choose one from the list of set-ups.") from None


def create(text: str, by: Actor) -> Setup:
    """Adds a set-up, and never changes another of the same name. Raises `Invalid`."""
    name = read(text).title
    if Setup.objects.filter(name__iexact=name).exists():
        fault = f"there is a set-up {name!r} already; give this one another name, or change that one"
        raise Invalid({"name": [fault]})
    return setups.save(text, by)


def change(setup: Setup, text: str, by: Actor) -> Setup:
    """Changes what is wanted of this set-up, and of no other. Raises `Invalid`."""
    name = read(text).title
    if name != setup.name:
        raise Invalid({"name": [f"is {name!r}; this set-up is {setup.name!r}, and a set-up keeps its name"]})
    return setups.save(text, by)


def rows() -> list[Row]:
    """All set-ups by name, each with its health."""
    found = []
    for setup in Setup.objects.all():
        standing = stand(setup)
        ends = [view.expires_at for view in standing.credentials]
        dates = [one for one in ends if one is not None]
        found.append(
            Row(
                setup.pk,
                setup.name,
                setup.tenant,
                setup.cloud,
                tuple(one.address for one in standing.wanted.mailboxes),
                health(standing),
                max(dates) if dates and len(dates) == len(ends) else None,
            )
        )
    return found


def stand(setup: Setup) -> Standing:
    """Where the set-up stands."""
    wanted = setups.wanted_of(setup)
    run = Run.objects.filter(plan__setup=setup).select_related("plan").first()
    look, apply_job, verify_job = (_since_removal(jobs.latest(setup, verb), run) for verb in _WIZARD)
    look = look if _is_current(look, setup) and not _is_overtaken(look, run, apply_job) else None
    applied = _is_applied(setup, run) or _had_nothing_to_do(look)
    owner = setups.application_of(setup)
    newest = jobs.latest(setup)
    boxes = ((one.address, setups.configuration_of(setup, one.address)) for one in wanted.mailboxes)
    kept = tuple((address, box.pk if box else None) for address, box in boxes)
    return Standing(
        setup=setup,
        wanted=wanted,
        signed_in=_signed_in(setup),
        look=look,
        applied=applied,
        apply_job=apply_job,
        verify_job=_later(verify_job, apply_job),
        running=newest if newest is not None and newest.finished_at is None else None,
        imported=bool(setup.client_id) and not applied and all(pk for _, pk in kept),
        credentials=tuple(applications.credentials_of(owner)) if owner else (),
        expiring=next((one for one in rotate.expiring() if one.setup == setup.name), None),
        boxes=kept,
    )


def health(standing: Standing) -> Health:
    """The gravest thing first."""
    faults = [one for one in standing.drift if one["weight"] != Weight.WARNING.value]
    if standing.running:
        return Health("at work", "accent", _AT_WORK[standing.running.verb])
    if not standing.applied and not standing.imported:
        if standing.apply_job is not None and standing.apply_job.passed is False:
            return Health("stopped", "bad", "The last apply stopped before its end; it can be taken up again.")
        if standing.setup.client_id:
            return Health("to be applied", "warn", "What is wanted is not yet what is there; look at the plan.")
        return Health("not set up", "", "Nothing is made yet.")
    if standing.expiring is not None and standing.expiring.threshold == 0:
        return Health("expired", "bad", f"{standing.expiring.credential} has expired; rotate it.")
    if standing.verify_job is not None and standing.verify_job.passed is False:
        return Health("failing", "bad", "The last proof failed.")
    if faults:
        return Health(
            "drift", "warn", f"{len(faults)} {'thing is' if len(faults) == 1 else 'things are'} off the plan."
        )
    if standing.expiring is not None:
        days = standing.expiring.days
        return Health("expiring", "warn", f"{standing.expiring.credential} ends in {days} days; rotate it.")
    if standing.proved and standing.verify_job is not None and standing.verify_job.finished_at:
        return Health("proved", "good", f"Proved on {standing.verify_job.finished_at:%Y-%m-%d %H:%M} UTC.")
    return Health("not proved", "", "Everything is made; prove that it works.")


_WIZARD = ("look", "apply", "verify")
_WAYS = {"smtp": "SMTP", "graph": "Graph", "imap": "IMAP", "pop3": "POP3"}
_AT_WORK = {
    "look": "The tenant is being looked at.",
    "apply": "The plan is being applied.",
    "verify": "The set-up is being proved.",
    "rotate": "The credential is being rotated.",
    "remove": "What was made is being taken away.",
}


def forget(setup: Setup, by: Actor) -> None:
    """Drops a set-up of whose doing nothing is left, or only shared mailboxes, which hold mail. Raises `Fault`."""
    if remove.preview(setup).going:
        raise Fault(f"{setup.name} still has things that it made", "Remove them first; then it can be deleted")
    audit.record(by, "tenant.deleted", setup.name)
    setup.delete()


def ids(setup: Setup) -> dict[str, str]:
    """The ids learnt, by the keys of `export.ANSWER`."""
    return {
        "tenant": setup.tenant_id,
        "client_id": setup.client_id,
        "application_object_id": setup.application_id,
        "service_principal_id": setup.service_principal_id,
    }


def _in_words(way: str) -> str:
    """`address: smtp, imap` as people read it."""
    address, _, pair = way.rpartition(": ")
    send_by, _, read_by = pair.partition(", ")
    said = [f"sends by {_WAYS[send_by]}"] if send_by in _WAYS else []
    said += [f"reads by {_WAYS[read_by]}"] if read_by in _WAYS else []
    return f"{address} {', '.join(said)}"


def _signed_in(setup: Setup) -> SignedInAs | None:
    row = SignIn.objects.filter(cloud=setup.cloud, tenant=setup.tenant.lower()).first()
    return SignedInAs(row.name, row.kind, row.signed_in_at) if row else None


def _is_current(look: Job | None, setup: Setup) -> bool:
    """Whether it looked for what is wanted now; a look that has failed or still runs is always shown."""
    if look is None:
        return False
    if not look.passed:
        return True
    try:
        return setups.by_hash(look.result["hash"]).wanted == setup.wanted
    except NotFound:
        return False


def _is_overtaken(look: Job | None, run: Run | None, apply_job: Job | None) -> bool:
    """Whether somebody did something since, otherwise than by applying this very plan here."""
    if look is None or run is None or look.finished_at is None or run.started_at < look.finished_at:
        return False
    return apply_job is None or apply_job.pk < look.pk


def _is_applied(setup: Setup, run: Run | None) -> bool:
    """Whether the latest run brought about what is wanted now; one that took things away did not."""
    if not setup.client_id or run is None or not run.passed or run.plan.wanted != setup.wanted:
        return False
    return not _is_removal(run)


def _is_removal(run: Run) -> bool:
    return any(step["key"].startswith("remove:") for step in run.steps)


def _since_removal(job: Job | None, run: Run | None) -> Job | None:
    """The job, unless what it saw or made was taken away since."""
    gone = job is not None and run is not None and _is_removal(run) and job.started_at < run.started_at
    return None if gone else job


def _had_nothing_to_do(look: Job | None) -> bool:
    return look is not None and bool(look.result.get("nothing_to_do"))


def _later(job: Job | None, than: Job | None) -> Job | None:
    return job if job is not None and (than is None or job.pk > than.pk) else None
