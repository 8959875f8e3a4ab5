"""The lab as a process of its own: one for each test module, put back to its beginning before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.lab import RunningLab


@pytest.fixture(scope="module")
def running_lab() -> Iterator[RunningLab]:
    with RunningLab() as lab:
        yield lab


@pytest.fixture
def lab(running_lab: RunningLab) -> RunningLab:
    running_lab.reset()
    return running_lab
