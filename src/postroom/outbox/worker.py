"""The worker: holds mailboxes by lease, runs a lane for each, and is woken when there is something to send.

Workers know nothing of one another but how many are alive, so each takes its share.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

import psycopg
import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection

from postroom.outbox import lease, retention, store, wake
from postroom.outbox.group import GroupCommit
from postroom.outbox.lane import Lane
from postroom.outbox.store import Begin, Op, Work

_log = structlog.get_logger("postroom.outbox")

T = TypeVar("T")

_TICK = 1.0
"""Seconds between two looks for work, and between two renewals."""
_MARGIN = 2.0
"""Seconds before the lease's end at which a lane stops by itself: clocks and threads are late sometimes."""
_TIDY = 30.0
_AT_ONCE = 100
"""Mailboxes taken in one look."""
_FINISH = 30.0
"""Seconds that a graceful stop waits for what is under way."""
_THREADS = 4


class Worker:
    """One for each process. `run` goes on until `stop`."""

    def __init__(self, *, idle_after: float = 30.0) -> None:
        self.name = lease.new_name()
        self._idle_after = idle_after
        self._lanes: dict[int, Lane] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._changed: dict[int, datetime] = {}
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="outbox-db")
        self._recorder: GroupCommit[Op, Work | None] = GroupCommit("outbox-recorder", self._write)
        self._news: asyncio.Event | None = None
        self._ending = False
        self._tidy_at = 0.0

    @property
    def lanes(self) -> int:
        """How many mailboxes it holds."""
        return len(self._lanes)

    # what lanes need ------------------------------------------------------------------------------------------------

    def write(self, op: Op) -> Future[Work | None]:
        return self._recorder.submit(op)

    async def db(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, _with_connection, call)

    def _write(self, group: Sequence[Op]) -> Sequence[Work | Exception | None]:
        """In the recorder's thread. Outcomes are written whatever it takes: they are known only here.

        While the database is away nothing is begun, and the outcomes wait.
        """
        failed: dict[int, Exception] = {}
        while True:
            todo = [op for index, op in enumerate(group) if index not in failed]
            try:
                done = iter(store.write(todo))
                return [failed[index] if index in failed else next(done) for index in range(len(group))]
            except (OperationalError, InterfaceError) as error:
                _log.error("outcomes cannot be written yet", waiting=len(todo), why=str(error).strip())
                connection.close()
                failed |= {index: error for index, op in enumerate(group) if isinstance(op, Begin)}
                if len(failed) == len(group) or self._ending:
                    return [failed.get(index, error) for index in range(len(group))]
                time.sleep(0.5)

    # running --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Holds mailboxes and sends, until `stop`."""
        loop = asyncio.get_running_loop()
        self._news = news = asyncio.Event()

        def heard(mailboxes: frozenset[int]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended since
                loop.call_soon_threadsafe(self._woken, mailboxes)

        end_listening = wake.listen(heard)
        listening = loop.create_task(self._listen()) if connection.vendor == "postgresql" else None
        _log.info("worker started", worker=self.name)
        try:
            while not self._ending:
                news.clear()
                try:
                    await self._look()
                except DatabaseError as error:
                    _log.error("the database does not answer", why=str(error).strip())
                    self._drop_those_lost()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), _TICK)
        finally:
            end_listening()
            if listening is not None:
                listening.cancel()
            await self._finish()

    def stop(self) -> None:
        """Ends gracefully; safe from a signal handler of the loop."""
        self._ending = True
        if self._news is not None:
            self._news.set()

    def _woken(self, mailboxes: frozenset[int]) -> None:
        for mailbox in mailboxes or frozenset(self._lanes):
            lane = self._lanes.get(mailbox)
            if lane is not None:
                lane.wake()
        if self._news is not None and not (mailboxes and mailboxes <= self._lanes.keys()):
            self._news.set()

    async def _look(self) -> None:
        """Renews, and takes what is to be taken."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        alive, mine, work = await self.db(lambda: (lease.sign_of_life(self.name), lease.renew(self.name), self._work()))
        until = asked_at + lease.LENGTH.total_seconds() - _MARGIN
        for mailbox, lane in list(self._lanes.items()):
            if mailbox in mine:
                lane.lease_until = until
                if self._changed.get(mailbox) != mine[mailbox]:
                    self._changed[mailbox] = mine[mailbox]
                    lane.reconsider()
            else:
                lane.abandon()
        orphans = [mailbox for mailbox in mine if mailbox not in self._tasks]
        wanted = [mailbox for mailbox in work if mailbox not in self._tasks and mailbox not in mine]
        share = math.ceil((len(self._tasks) + len(wanted)) / max(alive, 1)) if alive > 1 else len(wanted)
        most = min(share - (len(self._tasks) if alive > 1 else 0), _AT_ONCE)
        taken = await self.db(lambda: lease.take(self.name, wanted, most)) if wanted and most > 0 else []
        for mailbox in [*taken, *(one for one in orphans if one in work)]:
            self._open(mailbox, until)
        idle = [one for one in orphans if one not in work]
        if idle:
            await self.db(lambda: lease.give_back(self.name, idle))
        await self._tidy()

    def _work(self) -> list[int]:
        return lease.with_work()

    def _open(self, mailbox: int, lease_until: float) -> None:
        loop = asyncio.get_running_loop()
        lane = Lane(mailbox, self, loop.time, self._idle_after)
        lane.lease_until = lease_until
        self._lanes[mailbox] = lane
        task = loop.create_task(lane.run(), name=f"lane of mailbox {mailbox}")
        self._tasks[mailbox] = task
        task.add_done_callback(lambda ended: self._closed(mailbox, ended))

    def _closed(self, mailbox: int, task: asyncio.Task[None]) -> None:
        """Its lease is given back at the next look, where it is still ours."""
        self._lanes.pop(mailbox, None)
        self._tasks.pop(mailbox, None)
        self._changed.pop(mailbox, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a lane broke, and is taken up again", mailbox=mailbox, exc_info=error)
        if self._news is not None:
            self._news.set()

    def _drop_those_lost(self) -> None:
        """The database is away: what was not renewed in time may be another's by now."""
        moment = asyncio.get_running_loop().time()
        for lane in self._lanes.values():
            if moment >= lane.lease_until:
                lane.abandon()

    async def _tidy(self) -> None:
        moment = time.monotonic()
        if moment < self._tidy_at:
            return
        self._tidy_at = moment + _TIDY
        await self.db(store.expire_late)
        await self.db(retention.purge_some)

    async def _finish(self) -> None:
        for lane in self._lanes.values():
            lane.stop()
        tasks = list(self._tasks.values())
        renewing = asyncio.get_running_loop().create_task(self._keep_leases())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_FINISH)
            for lane in list(self._lanes.values()):
                lane.abandon()
            if late:
                await asyncio.wait(late, timeout=5)
        renewing.cancel()
        await asyncio.to_thread(self._recorder.close)
        with contextlib.suppress(DatabaseError):
            await self.db(lambda: lease.leave(self.name))
        for _ in range(_THREADS):
            self._pool.submit(connection.close)
        self._pool.shutdown()
        _log.info("worker ended", worker=self.name)

    async def _keep_leases(self) -> None:
        """While the last messages go out."""
        loop = asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            with contextlib.suppress(DatabaseError):
                mine = await self.db(lambda: lease.renew(self.name))
                for mailbox, lane in self._lanes.items():
                    if mailbox in mine:
                        lane.lease_until = asked_at + lease.LENGTH.total_seconds() - _MARGIN
            await asyncio.sleep(_TICK)

    async def _listen(self) -> None:
        """PostgreSQL tells when another process has accepted something; a lost connection is made again."""
        parameters = await self.db(connection.get_connection_params)
        wanted = {name: value for name, value in parameters.items() if name not in {"cursor_factory", "context"}}
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(**{**wanted, "autocommit": True}) as listener:
                    await listener.execute(f"LISTEN {wake.CHANNEL}")
                    self._woken(frozenset())
                    async for notification in listener.notifies():
                        self._woken(wake.heard(notification.payload))
            except psycopg.Error as error:
                _log.warning("not told of new messages for the moment; looking every second", why=str(error).strip())
            await asyncio.sleep(_TICK)


def _with_connection(call: Callable[[], T]) -> T:
    """A connection that broke must not stay with its thread."""
    close_old_connections()
    try:
        return call()
    except (OperationalError, InterfaceError):
        connection.close()
        raise
