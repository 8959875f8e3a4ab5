"""People and their one-time links."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postroom.accounts import links, service
from postroom.accounts.audit import SYSTEM
from postroom.accounts.models import AuditEvent, Person, SignInLink
from postroom.core import clock
from postroom.core.faults import Fault, Invalid, NotFound

pytestmark = pytest.mark.django_db
PASSWORD = "a ladder in the orchard"


@pytest.fixture
def ada() -> Person:
    return service.add_person("Ada@Contoso.example ", "administrator", SYSTEM, name="Ada")


def test_addresses_are_kept_in_lower_case_and_once(ada: Person) -> None:
    assert ada.email == "ada@contoso.example"
    assert service.find("ADA@contoso.EXAMPLE") == ada
    with pytest.raises(Invalid) as caught:
        service.add_person("aDa@contoso.example", "reader", SYSTEM)
    assert list(caught.value.errors) == ["email"]


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        service.add_person("nobody", "king", SYSTEM, password="short")
    assert set(caught.value.errors) == {"email", "role", "password"}


def test_the_last_administrator_stays(ada: Person) -> None:
    with pytest.raises(Fault, match="last administrator"):
        service.deactivate(ada, SYSTEM)
    with pytest.raises(Fault, match="last administrator"):
        service.change_role(ada, "reader", SYSTEM)
    service.add_person("bob@contoso.example", "administrator", SYSTEM)
    service.deactivate(ada, SYSTEM)
    assert not Person.objects.get(pk=ada.pk).is_active


def test_each_change_is_recorded_and_no_password_is(ada: Person) -> None:
    service.set_password(ada, PASSWORD, SYSTEM)
    service.add_person("bob@contoso.example", "reader", SYSTEM)
    service.change_role(service.find("bob@contoso.example"), "operator", SYSTEM)
    actions = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["person.added", "password.changed", "person.added", "person.changed"]
    assert not any(PASSWORD in str(event.detail) for event in AuditEvent.objects.all())


def test_somebody_unknown_is_not_found() -> None:
    with pytest.raises(NotFound, match=r"nobody@contoso\.example"):
        service.find("nobody@contoso.example")


def test_a_link_is_kept_as_a_digest_and_works_once(ada: Person) -> None:
    token = links.make(ada, SYSTEM)
    assert token not in str(SignInLink.objects.values())
    found = links.look(token)
    assert links.look(token) == found  # looking uses nothing up
    links.redeem(found)
    with pytest.raises(links.BadLink):
        links.look(token)
    with pytest.raises(links.BadLink):
        links.redeem(found)


def test_a_link_ends_after_a_quarter_of_an_hour(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    token = links.make(ada, SYSTEM)
    present = clock.now()
    monkeypatch.setattr(links, "now", lambda: present + timedelta(minutes=14))
    links.look(token)
    monkeypatch.setattr(links, "now", lambda: present + timedelta(minutes=16))
    with pytest.raises(links.BadLink):
        links.look(token)


def test_a_new_link_ends_the_one_before(ada: Person) -> None:
    old, new = links.make(ada, SYSTEM), links.make(ada, SYSTEM)
    links.look(new)
    with pytest.raises(links.BadLink):
        links.look(old)


def test_a_link_does_not_let_in_who_is_shut_out(ada: Person) -> None:
    bob = service.add_person("bob@contoso.example", "reader", SYSTEM)
    token = links.make(bob, SYSTEM)
    service.deactivate(bob, SYSTEM)
    with pytest.raises(links.BadLink):
        links.look(token)


def test_the_first_administrator_is_the_first_only() -> None:
    first = links.look(links.make(None, SYSTEM))
    person = service.first_administrator(first, "ada@contoso.example", "Ada", PASSWORD)
    assert person.role == "administrator"
    assert person.check_password(PASSWORD)
    later = links.look(links.make(None, SYSTEM))
    with pytest.raises(links.BadLink):
        service.first_administrator(later, "eve@contoso.example", "Eve", PASSWORD)


def test_a_link_for_a_person_makes_no_administrator(ada: Person) -> None:
    Person.objects.all().update(is_active=False)
    bob = Person.objects.create_user("bob@contoso.example")
    found = links.look(links.make(bob, SYSTEM))
    bob.delete()
    with pytest.raises(links.BadLink):
        service.first_administrator(found, "eve@contoso.example", "Eve", PASSWORD)
