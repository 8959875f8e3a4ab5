"""Doing a plan: each step as soon as those before it are done, each result stored before anything builds on it.

Asyncio without Django: what is to be stored is stored in the caller's thread (`local.py`). What a step does
is in `deeds.py`; here is when, and what is noted of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from postroom.core.faults import Fault
from postroom.microsoft.answers import Refused
from postroom.microsoft.errors import Diagnosis, Evidence, explain
from postroom.tenant.calls import Call
from postroom.tenant.deeds import Deeds
from postroom.tenant.ledger import Entry, entries
from postroom.tenant.local import Errands
from postroom.tenant.progress import Progress
from postroom.tenant.steps import Plan, Step
from postroom.tenant.trips import depth, go_on_from
from postroom.tenant.web import NoAnswer

UNKNOWN_END = "no answer came"
"""How the detail of a step begins of which nobody knows whether it was done."""
_REPEATS = 3
"""How often a step is done again because no answer came."""


class Records(Protocol):
    """What is kept of a run. Each verb is called in the thread that owns the tables, and is done when it returns."""

    def began(self, step: Step, making: Sequence[Entry]) -> None:
        """The step is going to be done, and to make these."""

    def ended(self, progress: Progress, not_made: Sequence[Entry] = ()) -> None:
        """It is over; of what it was to make, this was not made by it."""


@dataclass
class Engine:
    """One run of a plan."""

    plan: Plan
    deeds: Deeds
    records: Records
    errands: Errands[Progress]

    async def run(self) -> None:
        """Does all steps. A step that fails keeps those that build on it from being done, and no others."""
        tasks: dict[str, asyncio.Task[tuple[bool, int]]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                for step in self.plan.steps:
                    before = [tasks[key] for key in step.depends_on]
                    tasks[step.key] = group.create_task(self._in_turn(step, before))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _in_turn(self, step: Step, before: Sequence[asyncio.Task[tuple[bool, int]]]) -> tuple[bool, int]:
        """Whether it was done, and how many round trips had to come before its end."""
        results = [await task for task in before]
        go_on_from(*(reached for _, reached in results))
        if all(was_done for was_done, _ in results):
            return await self._step(step), depth()
        await self._end(step, "skipped", "not begun, as a step that it builds on failed")
        return False, depth()

    async def _step(self, step: Step) -> bool:
        self._tell(step, "running")
        making = entries(step, self.deeds.known)
        await self.errands.ask(lambda: self.records.began(step, making))
        made: list[Call] = []
        try:
            detail = await self._repeatedly(step, made)
        except Refused as refused:
            unsure = isinstance(refused, NoAnswer)
            not_made = () if unsure else self._without(making, step, made)
            answer = refused.answer
            quote = f" (request id {answer.request_id})" if answer.request_id else ""
            lead = f"{UNKNOWN_END}: " if unsure else ""
            diagnosis = explain(answer, Evidence(client_id=self.deeds.known.get("client_id", "")))
            await self._end(step, "failed", f"{lead}{answer.text or answer.code}{quote}", not_made, diagnosis)
            return False
        except Fault as fault:  # what Postroom itself cannot keep
            await self._end(step, "failed", f"{fault}. {fault.fix}".strip(), making)
            return False
        await self._end(step, "done", detail, self._without(making, step, made))
        return True

    def _without(self, making: Sequence[Entry], step: Step, made: Sequence[Call]) -> tuple[Entry, ...]:
        """What of `making` was not made: it was there already, or was not come to."""
        if not step.calls:
            return ()
        done = {one.remote_id for one in entries(replace(step, calls=tuple(made)), self.deeds.known)}
        return tuple(one for one in making if one.remote_id not in done)

    async def _end(
        self,
        step: Step,
        state: str,
        detail: str,
        not_made: Sequence[Entry] = (),
        diagnosis: Diagnosis | None = None,
    ) -> None:
        progress = Progress(step.key, step.title, state, detail, diagnosis)
        await self.errands.ask(lambda: self.records.ended(progress, not_made))
        self.errands.tell(progress)

    async def _repeatedly(self, step: Step, made: list[Call]) -> str:
        """A sentence on the result. Each step may be done again; so it is, when no answer came."""
        for attempt in range(1, _REPEATS):
            try:
                return await self.deeds.do(step, made, again=attempt > 1)
            except NoAnswer:
                self._tell(step, "waiting", f"{UNKNOWN_END}; looking, and trying again")
        return await self.deeds.do(step, made, again=True)

    def _tell(self, step: Step, state: str, detail: str = "", diagnosis: Diagnosis | None = None) -> None:
        self.errands.tell(Progress(step.key, step.title, state, detail, diagnosis))
