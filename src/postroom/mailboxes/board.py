"""The stages of one running proof: set from any thread, told one by one to whoever watches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from postroom.mailboxes.stages import Stage, waiting
from postroom.microsoft.errors import Diagnosis


class Board:
    """Made inside an event loop. A stage that has failed stays failed until it is wiped."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[Stage | None] = asyncio.Queue()
        self._lock = threading.Lock()
        self._stages = {stage.stage: stage for stage in waiting()}
        self._begun: dict[str, float] = {}

    def state(self, name: str) -> str:
        with self._lock:
            return self._stages[name].state

    def begin(self, name: str, detail: str = "") -> None:
        """It runs now; a further detail may follow while it does."""
        with self._lock:
            old = self._stages[name]
            if old.state in {"passed", "failed"} or (old.state == "running" and old.detail == detail):
                return
            self._begun.setdefault(name, time.monotonic())
            self._set(replace(old, state="running", detail=detail, diagnosis=None))

    def succeed(self, name: str, detail: str = "") -> None:
        """It has passed; the first detail stays."""
        with self._lock:
            old = self._stages[name]
            if old.state in {"passed", "failed"}:
                return
            self._set(Stage(name, "passed", detail, self._seconds(name)))

    def fail(self, name: str, diagnosis: Diagnosis) -> None:
        """It has failed; called again with another diagnosis when more has come to light."""
        with self._lock:
            old = self._stages[name]
            seconds = old.seconds if old.state == "failed" else self._seconds(name)
            self._set(Stage(name, "failed", diagnosis.cause, seconds, diagnosis))

    def skip(self, names: Iterable[str], why: str) -> None:
        """Those that have neither passed nor failed."""
        with self._lock:
            for name in names:
                if self._stages[name].state in {"waiting", "running"}:
                    self._set(Stage(name, "skipped", why))

    def wipe(self, names: Iterable[str]) -> None:
        """Before another attempt: those that have not passed wait again."""
        with self._lock:
            for name in names:
                if self._stages[name].state != "passed":
                    self._begun.pop(name, None)
                    self._set(Stage(name, "waiting"))

    def end(self) -> None:
        """Nothing more will come."""
        self._loop.call_soon_threadsafe(self._news.put_nowait, None)

    async def changes(self) -> AsyncIterator[Stage]:
        """Each stage as it changes, until the end."""
        while (stage := await self._news.get()) is not None:
            yield stage

    def _set(self, stage: Stage) -> None:
        if self._stages[stage.stage] == stage:
            return
        self._stages[stage.stage] = stage
        self._loop.call_soon_threadsafe(self._news.put_nowait, stage)

    def _seconds(self, name: str) -> float:
        begun = self._begun.get(name)
        return 0.0 if begun is None else time.monotonic() - begun
