"""The verbs observe, plan and apply. Those that prove, rotate and remove are in files of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.faults import Fault
from postroom.microsoft.answers import Refused
from postroom.tenant import setups
from postroom.tenant.deeds import Patience
from postroom.tenant.export import whole_plan
from postroom.tenant.keeping import Keeper
from postroom.tenant.local import Errands
from postroom.tenant.models import Setup, ShownPlan
from postroom.tenant.observe import LocalState
from postroom.tenant.observed import Observed
from postroom.tenant.plan import plan as make_plan
from postroom.tenant.progress import Progress
from postroom.tenant.rights import Lack, lacking
from postroom.tenant.seeing import Sight, admin_of, carry_out, connected, working
from postroom.tenant.steps import Plan
from postroom.tenant.wanted import Wanted

Listen = Callable[[Progress], None]

_GET_RIGHTS = "Have them granted, sign in as somebody who has them, or send the script of: postroom tenant export"


def _deaf(progress: Progress) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan, what it was made from, and what the administrator lacks to apply it."""

    setup: str
    plan: Plan
    observed: Observed
    lacks: tuple[Lack, ...]
    trips: dict[str, int]

    def to_data(self) -> dict[str, Any]:
        lacks = [{"right": one.right.value, "sentence": one.sentence} for one in self.lacks]
        return {"setup": self.setup, **self.plan.to_data(), "lacks": lacks, "round_trips": self.trips}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an apply came to."""

    setup: str
    hash: str
    passed: bool
    steps: list[dict[str, Any]]
    trips: dict[str, int]

    def to_data(self) -> dict[str, Any]:
        return {
            "setup": self.setup,
            "hash": self.hash,
            "passed": self.passed,
            "steps": self.steps,
            "round_trips": self.trips,
        }


def show(setup: Setup, by: Actor, *, tell: Callable[[str], None] = lambda _: None) -> Shown:
    """Observes, plans, and keeps the plan so that it may be applied. Changes nothing at Microsoft.

    Raises `Fault` when nobody is signed in, `Refused` with Microsoft's answer.
    """
    admin, wanted, local = admin_of(setup), setups.wanted_of(setup), setups.local_state(setup)
    found: list[Shown] = []

    async def look(errands: Errands[Progress]) -> None:
        del errands
        async with connected(admin, tell) as sight:
            whole = replace(local, tenant_id=await sight.tenant_id())
            observed = await _observed(sight, wanted, whole)
            plan = make_plan(wanted, observed, now())
            lacks = lacking(plan.needs, await admin.holdings(sight.web))
            found.append(Shown(setup.name, plan, observed, lacks, _counts(sight)))

    working(look, _deaf)
    Keeper(setup, by).observed(found[0].observed)
    setups.keep_plan(setup, found[0].plan)
    return found[0]


def apply(
    hash_: str,
    by: Actor,
    *,
    listen: Listen = _deaf,
    tell: Callable[[str], None] = lambda _: None,
    patience: Patience | None = None,
) -> Outcome:
    """Does what was shown under this hash, or what is left of it. May be repeated after a failure or a kill.

    Raises `NotFound` for a hash that was not shown; `Fault` when the tenant or the wanted state has changed so that
    something else would be done, when rights lack, or when another apply is at work; `Refused` when the tenant cannot
    be observed. A step that fails is in the outcome.
    """
    shown = setups.by_hash(hash_)
    setup = shown.setup
    if shown.wanted != setup.wanted:
        raise Fault(
            "the wanted state has changed since this plan was shown", "Look at the new one: postroom tenant plan"
        )
    work = _Apply(shown, by, patience or Patience(), tell)
    try:
        working(work.run, listen)
    finally:
        work.keeper.close()
    run = work.keeper.finish(work.trips)
    detail = {"hash": shown.hash, "passed": run.passed, "steps": {one["key"]: one["state"] for one in run.steps}}
    audit.record(by, "tenant.applied", setup.name, detail)
    return Outcome(setup.name, shown.hash, bool(run.passed), run.steps, run.trips)


async def _observed(sight: Sight, wanted: Wanted, local: LocalState) -> Observed:
    """Raises `Fault` naming the rights that lack, when Microsoft does not let us look; else `Refused`."""
    try:
        return await sight.observe(wanted, local)
    except Refused as refused:
        if refused.answer.status not in {401, 403}:
            raise
        lacks = lacking(whole_plan(wanted).needs, await sight.admin.holdings(sight.web))
        if not lacks:
            raise
        raise Fault(f"the tenant cannot be looked at: {_sentences(lacks)}", _GET_RIGHTS) from refused


def _sentences(lacks: tuple[Lack, ...]) -> str:
    return "; ".join(one.sentence for one in lacks)


class _Apply:
    """One apply: look again, judge, do."""

    def __init__(self, shown: ShownPlan, by: Actor, patience: Patience, tell: Callable[[str], None]) -> None:
        self._shown, self._by, self._patience, self._tell = shown, by, patience, tell
        self._setup: Setup = shown.setup
        self._wanted: Wanted = setups.wanted_of(self._setup)
        self._admin = admin_of(self._setup)
        self._local = setups.local_state(self._setup)
        self.keeper = Keeper(self._setup, by)
        self.trips: dict[str, int] = {}

    async def run(self, errands: Errands[Progress]) -> None:
        async with connected(self._admin, self._tell) as sight:
            whole = replace(self._local, tenant_id=await sight.tenant_id())
            observed = await _observed(sight, self._wanted, whole)
            plan = make_plan(self._wanted, observed, now())
            self._judge(plan, lacking(plan.needs, await self._admin.holdings(sight.web)))
            interrupted = await errands.ask(lambda: self._begin(plan, observed))
            await carry_out(sight, plan, self.keeper, errands, self._patience, interrupted)
            self.trips = _counts(sight)

    def _judge(self, plan: Plan, lacks: tuple[Lack, ...]) -> None:
        """Before anything is changed. Raises `Fault`."""
        if plan.blocked:
            first = plan.blocked[0]
            raise Fault(f"nothing can be applied: {first.fault} ({first.about})", first.fix)
        shown = {_purpose(step["key"]) for step in self._shown.content["steps"]}
        if strange := [step.title for step in plan.steps if _purpose(step.key) not in shown]:
            raise Fault(
                f"the tenant has changed since this plan was shown; it would now also: {'; '.join(strange)}",
                "Look at the new plan: postroom tenant plan",
            )
        if lacks:
            raise Fault(f"nothing was changed, as rights lack: {_sentences(lacks)}", _GET_RIGHTS)

    def _begin(self, plan: Plan, observed: Observed) -> frozenset[str]:
        interrupted = self.keeper.interrupted()
        self.keeper.observed(observed)
        self.keeper.begin(self._shown, plan)
        return interrupted


def _purpose(key: str) -> str:
    """What a step is there for: a certificate that a killed run has made only wants uploading."""
    return "credential:certificate" if key.startswith("credential:upload:") else key


def _counts(sight: Sight) -> dict[str, int]:
    return {"total": sight.trips.total, "dependent": sight.trips.dependent}
