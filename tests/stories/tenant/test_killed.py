"""Killed at any point, the next apply finishes the job and leaves nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from postroom.core.faults import Fault
from postroom.mailboxes.models import Credential
from postroom.tenant import service
from postroom.tenant.keeping import Keeper

from .conftest import BY, IMPATIENT, TEN_LINES, Killed, Killer, World


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


def test_a_certificate_that_was_made_and_not_uploaded_is_uploaded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a second one: its key is in the store already."""
    text = f"{TEN_LINES}credential: certificate\n"
    shown = world.show(text).plan.hash
    make = Keeper.certificate

    def die(keeper: Keeper, *, fresh: bool) -> None:
        make(keeper, fresh=fresh)
        raise Killed

    monkeypatch.setattr(Keeper, "certificate", die)
    with pytest.raises(Killed):
        service.apply(shown, BY, patience=IMPATIENT)
    monkeypatch.setattr(Keeper, "certificate", make)
    outcome = service.apply(shown, BY, patience=IMPATIENT)
    assert outcome.passed, outcome.steps
    assert Credential.objects.count() == len(world.application()["certificates"]) == 1
    assert world.show(text).plan.nothing_to_do


def test_two_at_once_do_not_get_in_each_others_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is told who is at work, and does nothing."""
    shown = world.show().plan.hash
    save = Keeper.save_configuration

    def meanwhile(keeper: Keeper, address: str) -> None:
        with pytest.raises(Fault, match="another apply is at work"):
            service.apply(shown, BY, patience=IMPATIENT)
        save(keeper, address)

    monkeypatch.setattr(Keeper, "save_configuration", lambda keeper, address: _in_a_thread(meanwhile, keeper, address))
    assert service.apply(shown, BY, patience=IMPATIENT).passed


def _in_a_thread(what: Callable[[Keeper, str], None], keeper: Keeper, address: str) -> None:
    """Another event loop needs another thread."""
    with ThreadPoolExecutor(1) as pool:

        def work() -> None:
            try:
                what(keeper, address)
            finally:
                connection.close()

        pool.submit(work).result()
