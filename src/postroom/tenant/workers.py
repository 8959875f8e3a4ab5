"""Which process does a run or a job, and whether it is still there."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

from postroom.core.clock import now


def name() -> str:
    """This process, as runs and jobs note it: host and number."""
    return f"{socket.gethostname()}:{os.getpid()}"


def lives(worker: str, touched_at: datetime, silence: timedelta, *, here: bool) -> bool:
    """Whether that process still does it. `here`: this very process knows that it does.

    The system is asked about a process of this machine. A number may be given anew, though, and of another machine's
    nothing is known here: so the last sign of life, `touched_at`, must not be longer ago than `silence`.
    """
    if worker == name():
        return here
    host, _, pid = worker.rpartition(":")
    if host == socket.gethostname() and os.name == "posix" and pid.isdigit():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # it lives, and belongs to somebody else
            pass
    return now() - touched_at < silence
