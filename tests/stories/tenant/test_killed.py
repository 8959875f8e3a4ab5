"""Killed at any point, the next apply finishes the job and leaves nothing twice."""

from __future__ import annotations

import pytest

from postroom.tenant import service

from .conftest import BY, IMPATIENT, Killed, Killer, World


@pytest.mark.timeout(600)
def test_killed_before_each_errand_in_turn(world: World, killer: Killer) -> None:
    """Between two errands lie the calls to Microsoft, so that each of them is once done and not noted."""
    assert world.apply().passed
    errands = killer.errands
    assert errands > 2 * len(world.setup().plans.first().content["steps"])
    for killer.number in range(1, errands + 1):
        world.afresh()
        shown = world.show().plan.hash
        killer.errands = 0
        with pytest.raises(Killed):
            service.apply(shown, BY, patience=IMPATIENT)
        killer.errands = -1000
        outcome = service.apply(shown, BY, patience=IMPATIENT)
        assert outcome.passed, (killer.number, outcome.steps)
        nothing_twice(world, killer.number)


def nothing_twice(world: World, number: int) -> None:
    application = world.application()
    assert len(application["secrets"]) == 1, number
    assert sorted(application["roles"]["exchange"]) == ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"], number
    principals = world.lab.control("GET", "/exchange/principals")
    assert [one["app_id"] for one in principals] == [application["app_id"]], number
    plan = world.show().plan
    assert plan.nothing_to_do, (number, plan.to_data())
    assert plan.findings == (), number
