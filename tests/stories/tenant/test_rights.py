"""Which rights lack is told before anything is changed; throttling and spreading are waited out; lost answers too."""

from __future__ import annotations

import pytest

from postroom.core.faults import Fault
from postroom.tenant import service, signin
from postroom.tenant.deeds import Patience
from postroom.tenant.progress import Progress

from .conftest import BOX, BY, IMPATIENT, PERSON, TEN_LINES, World

EXCHANGE_ADMINISTRATOR = "29232cdf-9323-42fd-ade2-1d097af3e4de"
APPLICATION_ADMINISTRATOR = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"
ONE_WAY = TEN_LINES.replace("[imap, pop, graph]", "imap")


def test_nobody_is_signed_in(world: World) -> None:
    setup = world.setup()
    signin.sign_out("lab", "contoso.example", BY)
    with pytest.raises(Fault, match="no administrator") as caught:
        service.show(setup, BY)
    assert "postroom tenant signin" in caught.value.fix


def test_a_person_without_roles_is_told_all_that_lacks(world: World) -> None:
    world.sign_in(PERSON)
    with pytest.raises(Fault) as caught:
        world.show()
    for part in ("make and change applications", "admin consent for Exchange", "administer Exchange"):
        assert part in str(caught.value)


def test_nothing_is_changed_when_one_right_lacks(world: World) -> None:
    world.lab.control("PATCH", f"/users/{PERSON}", {"directory_roles": [EXCHANGE_ADMINISTRATOR]})
    world.sign_in(PERSON)
    shown = world.show()
    assert [one.right.value for one in shown.lacks] == ["write-applications", "grant-exchange-roles"]
    with pytest.raises(Fault, match="nothing was changed"):
        service.apply(shown.plan.hash, BY)
    assert world.lab.control("GET", "/applications") == []
    assert BOX not in {one["address"] for one in world.lab.control("GET", "/mailboxes")}


def test_an_administrator_application_does_it_too(world: World) -> None:
    roles = {
        "graph": [
            "Application.ReadWrite.All",
            "AppRoleAssignment.ReadWrite.All",
            "Directory.Read.All",
            "Policy.Read.All",
        ],
        "exchange": ["Exchange.ManageAsApp"],
    }
    admin = world.lab.control("POST", "/applications", {"name": "Automation", "roles": roles})
    body = {"principalId": admin["service_principal_id"], "roleDefinitionId": EXCHANGE_ADMINISTRATOR}
    world.graph("POST", "/roleManagement/directory/roleAssignments", body | {"directoryScopeId": "/"})
    secret = admin["secrets"][0]["value"]
    done = signin.by_application("lab", "contoso.example", admin["app_id"], BY, secret=secret)
    assert done.kind == "application"
    assert secret not in repr(done)
    shown = world.show(ONE_WAY)
    assert shown.lacks == ()
    assert service.apply(shown.plan.hash, BY, patience=IMPATIENT).passed
    assert world.show(ONE_WAY).plan.nothing_to_do


def test_what_was_not_shown_is_not_done(world: World) -> None:
    shown = world.show(ONE_WAY)
    assert world.apply(ONE_WAY).passed
    world.lab.control("PATCH", f"/applications/{world.application()['id']}/principal", {"enabled": False})
    with pytest.raises(Fault, match="Enable the service principal"):
        service.apply(shown.plan.hash, BY)
    world.setup(ONE_WAY.replace("imap", "pop"))
    with pytest.raises(Fault, match="wanted state has changed"):
        service.apply(shown.plan.hash, BY)


def test_spreading_is_waited_out_and_said(world: World) -> None:
    world.lab.control("PUT", "/faults/propagation", {"values": {"seconds": 2}})
    seen: list[Progress] = []
    patience = Patience(spreading=30, first_pause=0.5, longest_pause=1)
    outcome = world.apply(ONE_WAY, patience=patience, listen=seen.append)
    assert outcome.passed, outcome.steps
    said = [one.detail for one in seen if one.state == "waiting"]
    assert any("waiting for Microsoft to spread" in one for one in said), seen


def test_when_patience_ends_the_step_says_why_and_the_next_apply_goes_on(world: World) -> None:
    world.lab.control("PUT", "/faults/propagation", {"values": {"seconds": 3600}})
    shown = world.show(ONE_WAY).plan.hash
    outcome = service.apply(shown, BY, patience=Patience(spreading=0.5, first_pause=0.3))
    assert not outcome.passed
    states = {one["key"]: one["state"] for one in outcome.steps}
    assert states[f"full-access:{BOX}"] == "failed"
    assert states[f"configuration:{BOX}"] == "skipped"
    assert states["credential:secret"] == "done", "what does not build on it is done"
    world.lab.control("DELETE", "/faults")
    assert service.apply(shown, BY, patience=IMPATIENT).passed
    assert world.show(ONE_WAY).plan.nothing_to_do


@pytest.mark.parametrize("fault", ["graph-throttled", "admin-throttled"])
def test_throttling_is_waited_out(world: World, fault: str) -> None:
    shown = world.show(ONE_WAY).plan.hash
    world.lab.control("PUT", f"/faults/{fault}", {"times": 3, "values": {"retry_after": 1}})
    said: list[str] = []
    assert service.apply(shown, BY, patience=IMPATIENT, tell=said.append).passed
    assert any("asks to wait 1 s" in one for one in said)


def test_lost_answers_leave_nothing_twice(world: World) -> None:
    """Graph does what it was asked, and the connection breaks; some of it are the application and the secret."""
    shown = world.show(ONE_WAY).plan.hash
    world.lab.control("PUT", "/faults/graph-lost", {"times": 12})
    outcome = service.apply(shown, BY, patience=IMPATIENT)
    for _ in range(5):
        if outcome.passed:
            break
        outcome = service.apply(shown, BY, patience=IMPATIENT)
    assert outcome.passed, outcome.steps
    assert len(world.application()["secrets"]) == 1
    assert world.show(ONE_WAY).plan.nothing_to_do
