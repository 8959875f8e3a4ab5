"""The roles of a process: web (the console), worker (sends). One process may have all, or each its own machine."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from postroom.core.faults import Fault
from postroom.outbox import accept
from postroom.outbox.worker import Worker

WEB, WORKER = "web", "worker"
ALL = frozenset({WEB, WORKER})


def chosen(names: Collection[str] | None) -> frozenset[str]:
    """The roles of these names; all when there are none. Raises `Fault`."""
    roles = frozenset(names or ALL)
    if unknown := roles - ALL:
        raise Fault(f"there is no role {', '.join(sorted(unknown))}", f"--role takes one of: {', '.join(sorted(ALL))}")
    return roles


@contextmanager
def beside(roles: Collection[str]) -> Iterator[None]:
    """What runs beside the console: a worker in a thread with its own loop. At the end it finishes what is under way."""
    if WORKER not in roles:
        yield
        accept.close()
        return
    worker, loop = Worker(), asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(worker.run()), name="outbox-worker")
    thread.start()
    try:
        yield
    finally:
        accept.close()
        loop.call_soon_threadsafe(worker.stop)
        thread.join()
        loop.close()


def run_alone(roles: Collection[str], ready: Callable[[], None]) -> None:
    """The roles without the console, until SIGTERM or SIGINT."""
    if WORKER not in roles:
        raise Fault("there is nothing to run", "Give --role worker, --role web, or both.")

    async def work() -> None:
        worker, loop = Worker(), asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, worker.stop)
        ready()
        await worker.run()

    asyncio.run(work())
