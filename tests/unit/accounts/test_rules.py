"""Which role has which verb."""

from __future__ import annotations

import pytest

from postroom.accounts.choices import Role
from postroom.accounts.rules import ROLE_PURPOSES, ROLES, VERBS, may, roles_that_may


def test_the_rules_know_the_roles_of_the_table() -> None:
    assert set(ROLES) == set(Role.values) == set(ROLE_PURPOSES)


def test_the_administrator_may_everything() -> None:
    assert all(may("administrator", verb) for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_may_look_at_the_configuration_and_nothing_else(verb: str) -> None:
    assert may("reader", verb) is (verb in {"mailbox.view", "tenant.view"})


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb.endswith(".change")])
def test_an_operator_works_on_the_outbox_and_changes_nothing_else(verb: str) -> None:
    assert may("operator", verb) is (verb == "outbox.change")


@pytest.mark.parametrize("verb", ["person.change", "tenant.change"])
def test_only_administrators_change_people_and_tenants(verb: str) -> None:
    assert roles_that_may(verb) == ("administrator",)


def test_an_unknown_role_may_nothing_and_an_unknown_verb_is_a_bug() -> None:
    assert not any(may("", verb) for verb in VERBS)
    with pytest.raises(ValueError, match=r"mailbox\.chnage"):
        may("administrator", "mailbox.chnage")
