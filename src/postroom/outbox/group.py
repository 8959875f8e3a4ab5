"""Group commit: many wait, one thread writes for all of them in one transaction, and then answers each.

One `fsync` is shared by everybody who came while the one before was under way.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import connection

from postroom.outbox.turns import turn

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """`write` gets up to `most` items, keeps them durably, and returns one result or exception for each.

    An exception that `write` raises goes to all who wait for that group.
    """

    def __init__(self, name: str, write: Callable[[Sequence[T]], Sequence[R | Exception]], most: int = 200) -> None:
        self._write = write
        self._most = most
        self._waiting: queue.SimpleQueue[tuple[T, Future[R]] | None] = queue.SimpleQueue()
        self._name = name
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, item: T) -> Future[R]:
        """The future has the result when the item is on disk."""
        future: Future[R] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._waiting.put((item, future))
        return future

    def close(self) -> None:
        """Writes what was submitted, then ends the thread."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._waiting.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            while (group := self._next_group()) is not None:
                self._settle(group)
        finally:
            connection.close()

    def _next_group(self) -> list[tuple[T, Future[R]]] | None:
        first = self._waiting.get()
        if first is None:
            return None
        group = [first]
        while len(group) < self._most:
            try:
                more = self._waiting.get_nowait()
            except queue.Empty:
                break
            if more is None:
                self._waiting.put(None)
                break
            group.append(more)
        return group

    def _settle(self, group: list[tuple[T, Future[R]]]) -> None:
        try:
            with turn():
                results = self._write([item for item, _ in group])
        except Exception as error:
            results = [error] * len(group)
        for (_, future), result in zip(group, results, strict=True):
            # A waiter may have gone away (its session was cut): then there is nobody to tell.
            if not future.set_running_or_notify_cancel():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
