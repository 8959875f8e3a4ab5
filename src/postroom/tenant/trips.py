"""Counting round trips, and how many of them had to wait for one another."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_depth: ContextVar[int] = ContextVar("round trips before this point", default=0)


@dataclass(slots=True)
class Trips:
    """Of one run: `total`, and `dependent`, the longest chain in which each waited for the one before."""

    total: int = 0
    dependent: int = 0

    def count(self) -> None:
        """A round trip is over, on which what follows in this task depends."""
        self.total += 1
        _depth.set(_depth.get() + 1)
        self.dependent = max(self.dependent, _depth.get())


def depth() -> int:
    """How many round trips this task has waited for, one after another."""
    return _depth.get()


def go_on_from(*depths: int) -> None:
    """What follows waits for several chains: it is as deep as the deepest."""
    _depth.set(max((_depth.get(), *depths)))


async def together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Results of independent work of any kinds, run at the same time; the first failure ends the others."""

    async def one(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, int]:
        return await coroutine, _depth.get()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(coroutine)) for coroutine in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    done = [task.result() for task in tasks]
    go_on_from(*(reached for _, reached in done))
    return [result for result, _ in done]
