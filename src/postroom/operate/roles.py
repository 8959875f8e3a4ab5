"""The roles of a process: web (the console), submission (the SMTP door), worker (sends).

One process may have all, or each its own machine.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from postroom.bridge.listening import Listening
from postroom.core.faults import Fault
from postroom.operate.tally import CountingDesk, CountingWorker
from postroom.outbox import accept

WEB, SUBMISSION, WORKER = "web", "submission", "worker"
ALL = frozenset({WEB, SUBMISSION, WORKER})


class Runner(Protocol):
    """What a role is made of."""

    async def run(self) -> None:
        """Until `stop`, and then to the end of what is under way."""

    def stop(self) -> None:
        """From the loop's own thread."""


def chosen(names: Collection[str] | None) -> frozenset[str]:
    """The roles of these names; all when there are none. Raises `Fault`."""
    roles = frozenset(names or ALL)
    if unknown := roles - ALL:
        raise Fault(f"there is no role {', '.join(sorted(unknown))}", f"--role takes one of: {', '.join(sorted(ALL))}")
    return roles


@contextmanager
def beside(roles: Collection[str]) -> Iterator[None]:
    """What runs beside the console, each in a thread with its own loop; in the end each finishes what is under way."""
    # uvicorn raises SIGTERM once more when it is done: that must not end us before the others have.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ExitStack() as stack:  # left from below: first the door closes, then the writer, then the worker
        if WORKER in roles:
            stack.enter_context(_in_thread(CountingWorker, "outbox-worker"))
        stack.callback(accept.close)
        if SUBMISSION in roles:
            stack.enter_context(_in_thread(lambda: _listening(roles), "smtp-door"))
        yield


def run_alone(roles: Collection[str], ready: Callable[[], None]) -> None:
    """The roles without the console, until SIGTERM or SIGINT."""

    async def work() -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, ended.set)
        runners: list[Runner] = [_listening(roles)] if SUBMISSION in roles else []
        runners += [CountingWorker()] if WORKER in roles else []
        tasks = [asyncio.create_task(runner.run()) for runner in runners]
        ready()
        await ended.wait()
        for runner, task in zip(runners, tasks, strict=True):
            runner.stop()
            await task

    asyncio.run(work())
    accept.close()


def _listening(roles: Collection[str]) -> Listening:
    """With roles of its own a process is one of several, which may share ports."""
    listening = Listening(share=frozenset(roles) != ALL)
    listening.desk = CountingDesk()
    return listening


@contextmanager
def _in_thread(make: Callable[[], Runner], name: str) -> Iterator[None]:
    runner, loop = make(), asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(runner.run()), name=name)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(runner.stop)
        thread.join()
        loop.close()
