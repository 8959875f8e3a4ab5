"""Coroutines that need the tables: what touches them runs in the caller's thread, between two turns of the loop.

So the network half is asyncio without Django, the other half is plain Django, and a coroutine that asked for something
to be stored goes on only when it is. Nothing else of the loop runs meanwhile, which is what the order of events of a
run rests on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")
_Event = TypeVar("_Event")


@dataclass
class Errand(Generic[_T]):
    """Something to be done in the caller's thread, for which a coroutine waits."""

    what: Callable[[], _T]
    done: asyncio.Future[_T]

    def run(self) -> None:
        try:
            result = self.what()
        except Exception as error:  # belongs to the coroutine that asked
            if not self.done.done():
                self.done.set_exception(error)
        else:
            if not self.done.done():
                self.done.set_result(result)


class Errands(Generic[_Event]):
    """What a working coroutine sends out: events, and errands that it waits for."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[_Event | Errand[Any] | None] = asyncio.Queue()

    def tell(self, event: _Event) -> None:
        self._queue.put_nowait(event)

    async def ask(self, what: Callable[[], _T]) -> _T:
        """The result of `what`, called in the caller's thread; raises what it raises."""
        errand: Errand[_T] = Errand(what, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(errand)
        return await errand.done

    async def during(self, work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncGenerator[_Event | Errand[Any], None]:
        """Events and errands of `work()` until it ends; raises what it raises."""
        task = asyncio.ensure_future(work())
        task.add_done_callback(lambda _: self._queue.put_nowait(None))
        try:
            while (item := await self._queue.get()) is not None:
                yield item
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def drive(items: AsyncGenerator[_Event | Errand[Any], None], listen: Callable[[_Event], None]) -> None:
    """Runs an event loop of its own until there is nothing more: errands are run here, events told to `listen`."""

    async def following() -> _Event | Errand[Any] | None:
        return await anext(items, None)

    async def closed() -> None:
        await items.aclose()

    with asyncio.Runner() as runner:
        try:
            while (item := runner.run(following())) is not None:
                if isinstance(item, Errand):
                    item.run()
                else:
                    listen(item)
        finally:
            runner.run(closed())
