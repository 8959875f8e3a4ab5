"""Errands: done in the caller's thread, in order, before the coroutine that asked goes on."""

from __future__ import annotations

import asyncio
import threading

import pytest

from postroom.tenant.local import Errands, drive


def test_errands_run_here_and_events_keep_their_order() -> None:
    errands: Errands[str] = Errands()
    here, seen = threading.get_ident(), []

    async def one(name: str) -> None:
        for turn in range(2):
            where = await errands.ask(threading.get_ident)
            errands.tell(f"{name}{turn}:{where == here}")

    async def work() -> None:
        await asyncio.gather(one("a"), one("b"))

    drive(errands.during(work), seen.append)
    assert sorted(seen) == ["a0:True", "a1:True", "b0:True", "b1:True"]
    assert seen.index("a0:True") < seen.index("a1:True")


def test_a_failing_errand_fails_its_asker() -> None:
    errands: Errands[str] = Errands()

    async def work() -> None:
        with pytest.raises(LookupError):
            await errands.ask(lambda: {}["x"])
        errands.tell("went on")

    seen: list[str] = []
    drive(errands.during(work), seen.append)
    assert seen == ["went on"]


def test_a_failing_worker_fails_the_driver() -> None:
    errands: Errands[str] = Errands()

    async def work() -> None:
        errands.tell("begun")
        raise ValueError("broken")

    seen: list[str] = []
    with pytest.raises(ValueError, match="broken"):
        drive(errands.during(work), seen.append)
    assert seen == ["begun"]


def test_when_the_driver_is_killed_the_work_ends() -> None:
    errands: Errands[str] = Errands()
    ended = []

    async def work() -> None:
        try:
            errands.tell("begun")
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    def killed(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(errands.during(work), killed)
    assert ended == [True]
