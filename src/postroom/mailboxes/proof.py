""" "Test this mailbox": the way of a real mail, out and back, stage by stage.

It uses the transports and `mailing.hand_over`, as real mail does, and looks on: each step they report passes a stage,
each refusal fails one, and what worked is the evidence from which `microsoft.errors` tells the one cause. The
sending and the reading side are tried independently; what one shows informs the diagnosis of the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex

from postroom.mail.addresses import Address, dedupe
from postroom.mail.compose import Draft
from postroom.mail.message import Message
from postroom.mailboxes import connect, mailing
from postroom.mailboxes.board import Board
from postroom.mailboxes.connect import Ready
from postroom.mailboxes.readback import HEADER, Sought, search
from postroom.mailboxes.rules import needed_roles
from postroom.mailboxes.stages import (
    READING,
    READING_ONLY,
    SENDING,
    SPREADS,
    TITLES,
    Stage,
    before,
    failing_stage,
)
from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.microsoft.claims import AccessToken, Claims
from postroom.microsoft.errors import Diagnosis, Evidence, check_claims, explain
from postroom.transports.base import Accepted, Observer, Reader, Rejected, TokenFor, Unanswered
from postroom.transports.opening import open_reader

_log = logging.getLogger(__name__)

_SHOWN_BY_RESULT = frozenset({"message-sent", "read-back"})
"""Stages that pass when their result is there, not when a transport reports a step."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a proof waits; seconds."""

    read_back: float = 60.0
    poll: float = 2.0
    spreading: tuple[float, ...] = (10.0, 20.0, 30.0)
    """Pauses before the next attempts, when the set-up changed within the last hour (facts 8)."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction: by which protocol, which stage each of its steps shows in, and what its token needs."""

    by: str
    steps: Mapping[Step, str]
    resource: str
    roles: tuple[str, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.steps.values()))


async def prove(prepared: Ready, recipient: str, patience: Patience | None = None) -> AsyncIterator[Stage]:
    """Yields each stage whenever it changes. `recipient` is the signed-in person's address. Never raises a refusal."""
    board = Board()
    work = asyncio.create_task(_Proof(prepared, recipient, patience or Patience(), board).run())
    try:
        async for stage in board.changes():
            yield stage
        await work
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


class _Proof:
    """The state of one run."""

    def __init__(self, prepared: Ready, recipient: str, patience: Patience, board: Board) -> None:
        whole = prepared.whole
        self._prepared, self._recipient, self._patience, self._board = prepared, recipient, patience, board
        self._out = _way(prepared, whole.send_by, SENDING, to_send=True)
        reading = READING if whole.send_by != "none" else READING_ONLY
        self._in = _way(prepared, whole.read_by, reading, to_send=False)
        self._worked: set[str] = set()
        self._claims: dict[str, Claims] = {}
        self._failures: dict[str, tuple[Answer, _Way]] = {}
        self._sought: Sought | None = None
        self._force = False

    async def run(self) -> None:
        try:
            if self._prepared.identity is None:
                self._board.skip(("token", "claims"), "this mailbox signs in without OAuth")
            await self._direction(self._out, self._send, "this mailbox does not send")
            if self._board.state("token") == "failed" and self._in.resource == self._out.resource:
                self._board.skip(self._in.stages, "there is no access token to read with")
            else:
                await self._direction(self._in, self._read, "this mailbox does not read")
            self._judge_again()
            self._board.skip(TITLES, "not needed")
        finally:
            self._board.end()

    async def _direction(self, way: _Way, once: Callable[[], Awaitable[Answer | None]], idle: str) -> None:
        """Tries one direction, and again while a recent change may still be spreading."""
        if way.by == "none":
            self._board.skip(way.stages, idle)
            return
        pauses = iter(self._patience.spreading if self._evidence(way).recently_changed else ())
        self._force = False
        while (answer := await self._attempt(way, once)) is not None:
            diagnosis = self._explain(answer, way)
            stage = failing_stage(answer, way.steps)
            pause = next(pauses, None) if diagnosis.fault.id in SPREADS else None
            if pause is None:
                self._fail(stage, answer, way, diagnosis)
                return
            self._board.begin(stage, f"{diagnosis.cause} This may still be spreading: trying again in {pause:g} s.")
            await asyncio.sleep(pause)
            self._board.wipe(way.stages)
            self._force = True

    async def _attempt(self, way: _Way, once: Callable[[], Awaitable[Answer | None]]) -> Answer | None:
        self._board.begin("token" if way.resource and self._board.state("token") == "waiting" else way.stages[0])
        try:
            return await once()
        except Refused as refused:
            return refused.answer
        except Exception as error:  # whatever goes wrong, a proof comes to an end and says so
            _log.exception("the proof of mailbox %s met a fault of Postroom", self._prepared.id)
            return Answer(Service.NETWORK, self._current(way), "internal", f"{type(error).__name__}: {error}")

    def _current(self, way: _Way) -> Step:
        """The step that runs; the first one when none does."""
        running = (step for step, name in way.steps.items() if self._board.state(name) == "running")
        return next(running, Step.CONNECT)

    # out ---------------------------------------------------------------------------------------------------------

    async def _send(self) -> Answer | None:
        whole, mark = self._prepared.whole, token_hex(8)
        route = connect.send_route(self._prepared, lambda ask: self._watched(ask, self._out))
        envelope, raw = mailing.prepare(whole, self._draft(mark))
        result = await mailing.hand_over(route, envelope, raw, self._observer(self._out))
        if isinstance(result, Rejected):
            return result.answer
        for stage in before("message-sent", self._out.steps):
            self._board.succeed(stage)
        given = result.message_id if isinstance(result, Accepted) else ""
        self._sought = Sought(tuple(filter(None, (given, Message(raw).message_id))), mark)
        if isinstance(result, Unanswered):
            return result.answer
        self._worked |= {f"{whole.send_by}-sign-in", f"{whole.send_by}-sender", f"{whole.send_by}-data"}
        if result.refused:
            return next(iter(result.refused.values()))
        named = f"; the server calls it {given}" if given else ""
        self._board.succeed("message-sent", f"to {', '.join(envelope.recipients)}{named}")
        return None

    def _draft(self, mark: str) -> Draft:
        """To the person who tests, and to the mailbox itself when it reads, so that it can be read back."""
        whole = self._prepared.whole
        to = [Address(self._recipient)]
        if whole.read_by != "none":
            to.append(Address(whole.address))
        return Draft(
            sender=mailing.sender_of(whole),
            to=dedupe(to),
            subject=f"Test of the mailbox {whole.name}",
            text=f"Postroom sent this to show that the mailbox {whole.name} <{whole.address}> works.\n\nMark: {mark}\n",
            # RFC 3834: no machine shall answer this.
            headers=((HEADER, mark), ("Auto-Submitted", "auto-generated")),
        )

    # back --------------------------------------------------------------------------------------------------------

    async def _read(self) -> Answer | None:
        route = connect.read_route(self._prepared, lambda ask: self._watched(ask, self._in))
        reader = open_reader(route, self._observer(self._in))
        try:
            folder = await reader.open()
            for stage in before("folder", self._in.steps):
                self._board.succeed(stage)
            self._board.succeed("folder", f"{folder.name}: {folder.messages} messages")
            self._worked |= {f"{self._in.by}-sign-in", f"{self._in.by}-folder"}
            return await self._read_back(reader)
        finally:
            await reader.close()

    async def _read_back(self, reader: Reader) -> Answer | None:
        if self._sought is None:
            self._board.skip(("read-back",), "no message was sent that could be read back")
            return None
        limit = self._patience.read_back

        def progress(waited: float) -> None:
            self._board.begin("read-back", f"waiting for the message, {waited:.0f} of up to {limit:.0f} s")

        raw = await search(reader, self._sought, patience=limit, poll=self._patience.poll, progress=progress)
        if raw is None and self._board.state("message-sent") == "failed":
            self._board.skip(("read-back",), "the message did not arrive, so it was not taken")
            return None
        if raw is None:
            folder = self._prepared.whole.folder
            text = f"the message was sent, but did not appear in {folder} within {limit:.0f} seconds"
            return Answer(_SERVICES[self._in.by], Step.READ, "not-arrived", text)
        self._worked.add(f"{self._in.by}-read")
        self._board.succeed("read-back", f"{len(raw):,} bytes")
        return None

    # looking on --------------------------------------------------------------------------------------------------

    def _observer(self, way: _Way) -> Observer:
        last_of = {stage: step for step, stage in way.steps.items()}

        def observe(step: Step, detail: str) -> None:
            stage = way.steps.get(step)
            if stage is None:
                return
            self._worked.add(f"{way.by}-{step}")
            if last_of[stage] is not step or stage in _SHOWN_BY_RESULT:
                self._board.begin(stage, detail)
                return
            self._board.succeed(stage, detail)
            self._begin_next(way)

        return observe

    def _watched(self, ask: TokenFor, way: _Way) -> TokenFor:
        """Around the very asking for tokens that real mail uses: shows token and claims as stages of their own."""

        def token(*, force: bool = False) -> AccessToken:
            self._board.begin("token")
            held = ask(force=force or self._force)
            self._worked.add("token")
            self._claims[way.resource] = held.claims
            self._board.succeed("token", f"for {way.resource}, good until {_clock(held.expires_at)} UTC")
            self._judge_claims(held.claims, way)
            self._begin_next(way)
            return held

        return token

    def _judge_claims(self, claims: Claims, way: _Way) -> None:
        """Judges them for both directions that use this token; raises `Refused` when they don't do for this one."""
        self._board.begin("claims")
        for other in (way, self._out, self._in):
            if other.by == "none" or other.resource != way.resource:
                continue
            fault = check_claims(claims, other.roles, other.resource, self._evidence(other))
            if fault is None:
                continue
            if other is way:
                raise Refused(fault.answer)
            self._failures["claims"] = (fault.answer, other)
            self._board.fail("claims", fault)
        shown = ", ".join(sorted(claims.roles)) or "none"
        self._board.succeed("claims", f"roles {shown}; service principal {claims.service_principal_id}")

    def _begin_next(self, way: _Way) -> None:
        for stage in TITLES:
            if stage in way.stages and self._board.state(stage) == "waiting":
                self._board.begin(stage)
                return

    # judging -----------------------------------------------------------------------------------------------------

    def _evidence(self, way: _Way) -> Evidence:
        claims = self._claims.get(way.resource)
        return connect.evidence(self._prepared, claims, frozenset(self._worked), way.roles)

    def _explain(self, answer: Answer, way: _Way) -> Diagnosis:
        if answer.step is Step.CLAIMS:
            claims = self._claims.get(way.resource, Claims())
            return check_claims(claims, way.roles, way.resource, self._evidence(way)) or explain(answer)
        return explain(answer, self._evidence(way))

    def _fail(self, stage: str, answer: Answer, way: _Way, diagnosis: Diagnosis) -> None:
        self._failures[stage] = (answer, way)
        self._board.fail(stage, diagnosis)
        self._board.skip(way.stages, f"not reached, as this failed: {TITLES[stage]}")

    def _judge_again(self) -> None:
        """What the other direction showed may decide between the causes of a vague answer."""
        for stage, (answer, way) in self._failures.items():
            self._board.fail(stage, self._explain(answer, way))


_SERVICES = {"imap": Service.IMAP, "pop3": Service.POP3, "graph": Service.GRAPH}


def _way(prepared: Ready, by: str, steps: Mapping[Step, str], *, to_send: bool) -> _Way:
    return _Way(by, steps, connect.resource(prepared.whole, by), needed_roles(by, to_send=to_send))


def _clock(unix_time: float) -> str:
    return datetime.fromtimestamp(unix_time, UTC).strftime("%H:%M")
