"""Programs under measurement: started in the background, their CPU time read from /proc, ended with certainty."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STOP_SECONDS = 45


class Failed(RuntimeError):
    """A program did not do what the measurement needs."""


@dataclass
class Program:
    """A process that runs beside us, and all that it started."""

    process: subprocess.Popen[str]
    log: Path

    @property
    def cpu(self) -> float:
        """CPU seconds of the process and its descendants, those that have ended included."""
        return tree_cpu(self.process.pid)

    @property
    def memory(self) -> int:
        """Resident bytes of the process alone."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE

    def check(self) -> None:
        """Raises `Failed` when it has ended."""
        if self.process.poll() is not None:
            raise Failed(
                f"process {self.process.pid} ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}"
            )


@contextmanager
def running(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[Program]:
    """The command, until the block ends."""
    with log.open("a") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True, env=environment
        )
    try:
        yield Program(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tree_cpu(root: int) -> float:
    """CPU seconds of a process and its descendants: their own, and those of children that they have waited for."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = entry.joinpath("stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        ticks[int(entry.name)] = sum(map(int, fields[11:15]))
    return sum(count for pid, count in ticks.items() if _descends(pid, root, parents)) / _TICKS


def _descends(pid: int, root: int, parents: Mapping[int, int]) -> bool:
    while pid > 1:
        if pid == root:
            return True
        pid = parents.get(pid, 0)
    return False


def free_port() -> int:
    """One that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_port(port: int, program: Program | None = None, seconds: float = 60) -> None:
    """Until something listens on loopback. Raises `Failed`."""

    def listens() -> bool:
        if program is not None:
            program.check()
        with socket.socket() as sock:
            sock.settimeout(1)
            return sock.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listens, f"something listens on port {port}", seconds)


def wait_for(question: Callable[[], T], what: str, seconds: float = 60, every: float = 0.05) -> T:
    """Asks until the answer is true; returns it. Raises `Failed`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(every)
    raise Failed(f"waited {seconds:.0f} s in vain until {what}")
