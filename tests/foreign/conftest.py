"""Clients that nobody here wrote, from Debian, against a lab in a process of its own (tests/peers.txt names them)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.lab import RunningLab
from support.mail_access import MailAccess


@pytest.fixture(scope="module")
def running_lab() -> Iterator[RunningLab]:
    with RunningLab() as lab:
        yield lab


@pytest.fixture
def access(running_lab: RunningLab) -> MailAccess:
    running_lab.reset()
    return MailAccess(running_lab)
