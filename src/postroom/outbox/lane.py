"""The lane of one mailbox: takes what is due, most urgent first, and sends it over a few connections at its pace.

One lane runs for a mailbox, in the worker that holds its lease. Its connections ("slots") each take the next message
just when they are free and the pace allows, so an urgent one goes before all that waits, and a slow one delays nobody.
What is at fault with the mailbox itself brakes the lane: no message is touched until one has shown that it works.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import structlog

from postroom.core.clock import now
from postroom.core.faults import Fault
from postroom.core.settings import settings
from postroom.mail.envelope import Envelope
from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.outbox import lane_rows, settle, store
from postroom.outbox.pace import Pace
from postroom.outbox.rules import Brake, Judgement, judge, judge_opening
from postroom.outbox.store import Begin, Due, End, Op, Uncertain, Work
from postroom.outbox.values import Priority, State
from postroom.outbox.ways import Way, redirected, same_setup, ways
from postroom.transports.base import Accepted, Rejected, Sender, SendResult, Unanswered
from postroom.transports.opening import open_sender

_log = structlog.get_logger("postroom.outbox")

T = TypeVar("T")

_AHEAD = 100
"""Messages looked up at a time."""
_KEEP_OPEN = 15.0
"""Seconds that a connection is kept without work."""
_RELOAD = 15.0
"""Seconds after which settings are read again."""
_FRESH = 0.05
"""Seconds for which a look at what is due holds, while news keep coming."""
_LOOK = 1.0
"""Seconds for which it holds otherwise: what was deferred comes due without news."""
_SETTLE_EVERY = 2.0
_LOOK_AGAIN = 5.0
"""Seconds until Sent Items is tried again when it was not reached."""
_CONNECTIONS = 3


class Desk(Protocol):
    """What a lane needs of its worker."""

    name: str

    def write(self, op: Op) -> Future[Work | None]:
        """In the next group."""

    async def db(self, call: Callable[[], T]) -> T:
        """A blocking call in a thread with a database connection."""


@dataclass
class Slot:
    """One connection and the task that uses it."""

    sender: Sender | None = None
    way: Way | None = None


class Lane:
    """See the module. `run` ends when `stop` is called, when the lease is lost, or after long idleness."""

    def __init__(self, mailbox: int, desk: Desk, clock: Callable[[], float], idle_after: float = 30.0) -> None:
        self.mailbox = mailbox
        self.lease_until = float("-inf")
        """By the loop's clock; set by the worker. Nothing is begun after it."""
        self._desk = desk
        self._clock = clock
        self._idle_after = idle_after
        self._pace = Pace()
        self._ways: list[Way] = []
        self._row = lane_rows.LaneRow()
        self._ahead: list[Due] = []
        self._looked_at = float("-inf")
        self._more = True
        """Whether there may be due messages that the last look did not show."""
        self._taken: set[int] = set()
        self._slots: set[asyncio.Task[None]] = set()
        self._waiting_slots = 0
        self._news = asyncio.Event()
        """For `run`."""
        self._arrived = asyncio.Event()
        """For the slot whose turn it is."""
        self._turn = asyncio.Lock()
        self._ending = False
        self._reload_at = float("-inf")
        self._settle_at = float("-inf")
        self._uncertain = True
        self._sent_items = settle.SentItems()
        self._settling: asyncio.Task[None] | None = None
        self._idle_since = clock()

    # the worker's side ----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be new messages for this mailbox."""
        self._more = True
        self._news.set()
        self._arrived.set()

    def reconsider(self) -> None:
        """The settings, or the wish of a person, have changed: read them at once."""
        self._reload_at = float("-inf")
        self.wake()

    def stop(self) -> None:
        """Finishes what is under way, and takes no more."""
        self._ending = True
        self.wake()

    def abandon(self) -> None:
        """The lease is lost: whoever takes it next looks for what is under way, so nothing may go on here."""
        self._ending = True
        for slot in self._slots:
            slot.cancel()
        self.wake()

    async def run(self) -> None:
        try:
            await self._desk.db(lambda: store.recover(self.mailbox))
            past = await self._desk.db(lambda: store.sent_lately(self.mailbox))
            start = self._clock()
            self._pace.remember((start - ago, recipients) for ago, recipients in past)
            while not self._ending:
                self._news.clear()
                pause = await self._round()
                if pause is None:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), max(pause, 0.01))
        finally:
            self.stop()
            if self._settling is not None:
                self._settling.cancel()
                await asyncio.wait([self._settling])
            if self._slots:
                await asyncio.wait(self._slots)

    async def _round(self) -> float | None:
        """One look at everything; returns for how many seconds there is nothing to do, or None to end."""
        moment = self._clock()
        if moment >= self.lease_until:
            return None
        if moment >= self._reload_at:
            await self._reload()
        if self._uncertain and moment >= self._settle_at and (self._settling is None or self._settling.done()):
            self._settling = asyncio.create_task(self._settle(), name=f"settling of mailbox {self.mailbox}")
        if not self._ways or self._row.held:
            return self._until_reload()
        way = self._way()
        if way is None:
            await self._stand_in()
            opens = min(one.open_until for one in self._ways)
            return min(opens - self._clock(), self._until_reload())
        if not self._slots and await self._next_due() is not None:
            self._spawn()
        if self._slots or self._uncertain:
            self._idle_since = self._clock()
        elif self._clock() - self._idle_since > self._idle_after:
            return None
        return min(1.0, self._until_reload())

    def _until_reload(self) -> float:
        return max(self._reload_at - self._clock(), 0.05)

    # settings -------------------------------------------------------------------------------------------------------

    async def _reload(self) -> None:
        """Reads the mailbox and the lane's row again; connections go on when nothing changed."""
        self._reload_at = self._clock() + _RELOAD
        self._row = await self._desk.db(lambda: lane_rows.read(self.mailbox))
        try:
            found = await self._desk.db(lambda: ways(self.mailbox, other_way=self._row.other_way))
        except Fault as fault:
            self._ways, broken = [], fault
            await self._desk.db(lambda: lane_rows.cannot_send(self.mailbox, broken))
            return
        if [one.name for one in found] != [one.name for one in self._ways] or not all(
            same_setup(one.prepared, other.prepared) for one, other in zip(found, self._ways, strict=True)
        ):
            self._ways = found
        elif self._row.resume:
            for one in self._ways:
                one.open_until = float("-inf")
        whole = self._ways[0].prepared.whole
        self._pace.per_minute = whole.messages_per_minute
        self._pace.per_day = whole.recipients_per_day

    def _way(self) -> Way | None:
        """The first whose breaker lets something through."""
        moment = self._clock()
        return next((one for one in self._ways if one.open_until <= moment), None)

    @property
    def _most_slots(self) -> int:
        way = self._way()
        if way is None:
            return 0
        return (way.prepared.whole.connections or _CONNECTIONS) if way.proved else 1

    async def _stand_in(self) -> None:
        """Hands what waits to the mailbox that stands in, when this one is stopped or long away."""
        why = self._ways[0].why
        if self._row.fallback is None or why is None or self._slots:
            return
        brake, diagnosis = why
        if brake is Brake.STOPPED or (brake is Brake.AWAY and self._ways[0].failures >= 3):
            await self._desk.db(lambda: lane_rows.hand_on(self.mailbox, diagnosis.cause))

    # slots ----------------------------------------------------------------------------------------------------------

    def _spawn(self) -> None:
        task = asyncio.create_task(self._slot(), name=f"slot of mailbox {self.mailbox}")
        self._slots.add(task)

        def gone(ended: asyncio.Task[None]) -> None:
            self._slots.discard(ended)
            self._news.set()
            if not ended.cancelled() and (error := ended.exception()) is not None:
                _log.error("a slot of a lane broke", mailbox=self.mailbox, exc_info=error)

        task.add_done_callback(gone)

    async def _slot(self) -> None:
        """Takes and sends, one message after the other, until there are none or the lane is braked."""
        slot = Slot()
        last: Future[Work | None] | None = None
        try:
            while (way := self._way()) is not None and await self._ready_to_send(slot, way):
                due = await self._take(slot)
                if due is None:
                    return
                last = await self._send(slot, way, due, last)
        finally:
            if last is not None:
                with suppress(Exception):
                    await asyncio.wrap_future(last)
            if slot.sender is not None:
                await slot.sender.close()

    async def _ready_to_send(self, slot: Slot, way: Way) -> bool:
        """Connected and signed in on this way. What fails here touches no message."""
        if slot.way is way:
            return True
        if slot.sender is not None:
            await slot.sender.close()
        slot.sender, slot.way = open_sender(way.route), way
        try:
            await slot.sender.open()
        except Refused as refused:
            slot.way = None
            answer = refused.answer
            await self._brake(way, await asyncio.to_thread(judge_opening, answer, way.explain))
            return False
        return True

    async def _take(self, slot: Slot) -> Due | None:
        """The next message, when the pace allows it; None when there is none for long, or the lane is braked."""
        idle_since = self._clock()
        self._waiting_slots += 1
        try:
            async with self._turn:
                while self._may_begin() and slot.way is self._way():
                    self._arrived.clear()
                    due = await self._next_due()
                    if due is None:
                        if self._clock() - idle_since > _KEEP_OPEN or self._ending:
                            return None
                        await self._rest(_LOOK)
                        continue
                    idle_since = self._clock()
                    pause = self._pace.wait(idle_since, due.recipients, urgent=due.priority is Priority.URGENT)
                    if pause > 0:
                        await self._rest(pause)
                        continue
                    self._pace.start(self._clock(), due.recipients)
                    self._ahead.remove(due)
                    self._taken.add(due.id)
                    return due
                return None
        finally:
            self._waiting_slots -= 1
            if not self._waiting_slots and len(self._slots) < self._most_slots and self._could_use_another():
                self._spawn()

    def _could_use_another(self) -> bool:
        """Whether one more connection would have something to do at once."""
        return bool(self._ahead) and self._pace.wait(self._clock(), self._ahead[0].recipients) <= 0

    def _may_begin(self) -> bool:
        return not self._ending and not self._row.held and self._clock() < self.lease_until

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), seconds)

    async def _next_due(self) -> Due | None:
        """The most urgent one that is due; looks again when the look is old, and news may have come since."""
        age = self._clock() - self._looked_at
        if age >= _LOOK or (self._more and (not self._ahead or age >= _FRESH)):
            self._more, self._looked_at = False, self._clock()
            found = await self._desk.db(lambda: store.due(self.mailbox, _AHEAD))
            self._ahead = [one for one in found if one.id not in self._taken]
            self._more = self._more or len(found) >= _AHEAD
        return self._ahead[0] if self._ahead else None

    # one message ----------------------------------------------------------------------------------------------------

    async def _send(
        self, slot: Slot, way: Way, due: Due, last: Future[Work | None] | None
    ) -> Future[Work | None] | None:
        """Writes the attempt down, makes it, and has its outcome written; returns the future of that."""
        counted, gone = False, False
        try:
            work = await asyncio.wrap_future(self._desk.write(Begin(due.id, self.mailbox, way.name, self._desk.name)))
            if last is not None:
                await asyncio.wrap_future(last)
            if work is None or slot.sender is None:
                return None
            if self._clock() >= self.lease_until:
                # It ran out while the attempt was written: another may hold the mailbox by now.
                return None
            result = await self._hand_over(slot.sender, work)
            judgement = await self._judge(way, work, result)
            verdict = judgement.message
            if verdict is None:
                return None
            counted = not isinstance(result, Rejected)
            gone = counted
            if judgement.brake is not None:
                await self._brake(way, judgement)
            elif not isinstance(result, Rejected) or verdict.state is not State.QUEUED:
                await self._worked(way)
            if verdict.state is State.UNKNOWN:
                self._uncertain, self._settle_at = True, self._clock()
            return self._desk.write(End(work, verdict))
        finally:
            self._pace.end(self._clock(), counted=counted)
            if not gone:
                self._pace.give_back(due.recipients)
            self._taken.discard(due.id)
            self._idle_since = self._clock()

    async def _hand_over(self, sender: Sender, work: Work) -> SendResult:
        envelope, raw = redirected(Envelope(work.sender, work.recipients), work.raw)
        try:
            return await sender.send(envelope, raw)
        except Refused as refused:
            return Rejected(refused.answer)
        except Exception as error:  # a fault of ours: nobody knows how far the conversation had come
            _log.error("a transport broke", mailbox=self.mailbox, message=work.id, exc_info=error)
            return Unanswered(Answer(Service.NETWORK, Step.DATA, "lost", f"{type(error).__name__}: {error}"))

    async def _judge(self, way: Way, work: Work, result: SendResult) -> Judgement:
        own = work.author.casefold() in {
            way.prepared.whole.address.casefold(),
            way.prepared.whole.sender.casefold(),
        }

        def judged() -> Judgement:
            return judge(
                result,
                work.recipients,
                way.explain,
                attempts=work.attempts + 1,
                priority=work.priority,
                own_sender=own,
                jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
            )

        if isinstance(result, Accepted) and not result.refused:
            return judged()
        # Explaining a refusal may ask for a token, which blocks.
        return await asyncio.to_thread(judged)

    # brakes ---------------------------------------------------------------------------------------------------------

    async def _brake(self, way: Way, judgement: Judgement) -> None:
        brake, diagnosis = judgement.brake, judgement.diagnosis
        if brake is None or diagnosis is None:
            return
        first = way.why is None or way.why[0] is not brake
        jitter = random.random()  # noqa: S311 - as above
        pause = way.failed(brake, diagnosis, self._clock(), jitter)
        if brake is Brake.THROTTLED:
            # The mailbox is throttled, whichever way its mail goes.
            self._pace.slow_down()
            for other in self._ways:
                other.open_until = max(other.open_until, self._clock() + pause)
        braked = self._way() is None
        self._row = replace(self._row, braked=self._row.braked or braked)
        if braked or first:
            learned = self._pace.learned
            await self._desk.db(
                lambda: lane_rows.braked(self.mailbox, brake, diagnosis, pause, learned, whole=braked, first=first)
            )
        self._news.set()

    async def _worked(self, way: Way) -> None:
        if way.worked() or self._row.braked:
            self._row = replace(self._row, braked=False)
            await self._desk.db(lambda: lane_rows.moving(self.mailbox))
            self._news.set()

    # what is unknown ------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Looks for messages of unknown fate; those that do not show in time are sent again."""
        self._settle_at = self._clock() + _SETTLE_EVERY
        sought = await self._desk.db(lambda: store.uncertain(self.mailbox))
        self._uncertain = bool(sought)
        if not sought or not self._ways:
            return
        prepared = self._ways[0].prepared
        route = await self._desk.db(lambda: settle.sent_items(prepared))
        late = {one.id for one in sought if _age(one) >= settings().sent_items_patience}
        seen, why = settle.Look({}, complete=True), settle.NO_LOOK
        if route is not None:
            why = settle.NOT_THERE
            try:
                seen = await self._sent_items.look(route, sought, await self._depth(sought) if late else settle.GLANCE)
            except Refused as refused:
                self._cannot_look(refused.answer)
                return

        def written() -> None:
            for one in sought:
                if one.id in seen.found:
                    store.found(one, seen.found[one.id])
                elif seen.complete and one.id in late:
                    store.not_found(one, why)

        await self._desk.db(written)
        self.wake()

    async def _depth(self, sought: Sequence[Uncertain]) -> int:
        oldest = min(one.since for one in sought)
        ours = await self._desk.db(lambda: store.attempts_since(self.mailbox, oldest))
        return settle.depth((now() - oldest).total_seconds(), ours)

    def _cannot_look(self, answer: Answer) -> None:
        """Sent Items is not reached now: it stays unknown until it is."""
        _log.warning("cannot look into Sent Items", mailbox=self.mailbox, answer=f"{answer.code} {answer.text}")
        self._settle_at = self._clock() + _LOOK_AGAIN


def _age(one: Uncertain) -> float:
    """Seconds since the attempt."""
    return (now() - one.since).total_seconds()
