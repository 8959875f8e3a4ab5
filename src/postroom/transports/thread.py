"""A blocking mail library, driven from asyncio in a thread of its own.

imaplib and poplib block, and a connection of theirs may be used by one thread at a time: so each reader has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from postroom.microsoft.answers import Step
from postroom.transports.base import Observer

P = ParamSpec("P")
T = TypeVar("T")


class OwnThread:
    """Runs calls one after the other in one thread, which starts with the first call and ends with `stop`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._executor: ThreadPoolExecutor | None = None

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: call(*args, **kwargs))

    def stop(self) -> None:
        """Does not wait: what still runs ends by itself when its socket is closed."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


def heard_in_loop(observer: Observer) -> Observer:
    """An observer to call from the thread: it is told in the event loop, in order."""
    loop = asyncio.get_running_loop()

    def tell(step: Step, detail: str) -> None:
        loop.call_soon_threadsafe(observer, step, detail)

    return tell
