"""People: the first administrator, adding, changing and shutting out, passwords."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet

from postroom.accounts import audit, links
from postroom.accounts.audit import Actor
from postroom.accounts.choices import Role
from postroom.accounts.models import Person, SignInLink
from postroom.accounts.rules import ROLES
from postroom.core.faults import Fault, Invalid, NotFound


def anybody() -> bool:
    """False at the very first start: nobody can sign in yet."""
    return Person.objects.filter(is_active=True).exists()


def list_people(search: str = "") -> QuerySet[Person]:
    return Person.objects.filter(email__icontains=search.strip()).order_by("email")


def find(email: str) -> Person:
    """Raises `NotFound`."""
    person = Person.objects.filter(email=email.strip().lower()).first()
    if person is None:
        raise NotFound(f"there is nobody with the address {email}", "See who there is: postroom person list")
    return person


def get(person_id: int) -> Person:
    """Raises `NotFound`."""
    person = Person.objects.filter(pk=person_id).first()
    if person is None:
        raise NotFound("there is no such person", "See who there is: postroom person list")
    return person


def add_person(email: str, role: str, by: Actor, *, name: str = "", password: str | None = None) -> Person:
    """Without a password the person signs in by a link and sets one. Raises `Invalid`."""
    email = email.strip().lower()
    errors: dict[str, list[str]] = {**_email_faults(email), **_role_faults(role)}
    person = Person(email=email, name=name.strip(), role=role)
    if password is not None:
        errors |= _password_faults(password, person)
    if errors:
        raise Invalid(errors)
    with transaction.atomic():
        person.set_password(password)
        person.save()
        audit.record(by, "person.added", email, {"name": person.name, "role": role})
    return person


def first_administrator(link: SignInLink, email: str, name: str, password: str, origin: str = "") -> Person:
    """Makes the first person, proved by the link that `postroom serve` printed. Raises `BadLink`, `Invalid`."""
    with transaction.atomic():
        if anybody() or link.person is not None:
            raise links.BadLink
        actor = Actor(email.strip().lower(), origin)
        person = add_person(email, Role.ADMINISTRATOR, actor, name=name, password=password)
        links.redeem(link)
    return person


def change_role(person: Person, role: str, by: Actor) -> None:
    """Raises `Invalid`, or `Fault` for the last administrator."""
    if errors := _role_faults(role):
        raise Invalid(errors)
    if role != Role.ADMINISTRATOR:
        _keep_an_administrator(person)
    with transaction.atomic():
        audit.record(by, "person.changed", person.email, {"role": {"before": person.role, "after": role}})
        person.role = role
        person.save(update_fields=["role"])


def deactivate(person: Person, by: Actor) -> None:
    """Shuts somebody out at once, open sessions included; the audit log keeps the name. Raises `Fault`."""
    _keep_an_administrator(person)
    _set_active(person, False, by)


def activate(person: Person, by: Actor) -> None:
    _set_active(person, True, by)


def set_password(person: Person, password: str, by: Actor) -> None:
    """Ends the person's other sessions. Raises `Invalid`."""
    if errors := _password_faults(password, person):
        raise Invalid(errors)
    with transaction.atomic():
        person.set_password(password)
        person.save(update_fields=["password"])
        audit.record(by, "password.changed", person.email)


def _set_active(person: Person, active: bool, by: Actor) -> None:
    with transaction.atomic():
        person.is_active = active
        person.save(update_fields=["is_active"])
        audit.record(by, "person.activated" if active else "person.deactivated", person.email)


def _keep_an_administrator(person: Person) -> None:
    others = Person.objects.filter(role=Role.ADMINISTRATOR, is_active=True).exclude(pk=person.pk)
    if person.role == Role.ADMINISTRATOR and person.is_active and not others.exists():
        raise Fault(
            f"{person.email} is the last administrator",
            "Make somebody else an administrator first.",
        )


def _email_faults(email: str) -> dict[str, list[str]]:
    try:
        validate_email(email)
    except ValidationError:
        return {"email": ["This is not an e-mail address; write it as name@example.org."]}
    if Person.objects.filter(email=email).exists():
        return {"email": ["There is somebody with this address already."]}
    return {}


def _role_faults(role: str) -> dict[str, list[str]]:
    if role in ROLES:
        return {}
    return {"role": [f"There is no role {role!r}; choose one of {', '.join(ROLES)}."]}


def _password_faults(password: str, person: Person) -> dict[str, Any]:
    try:
        validate_password(password, person)
    except ValidationError as error:
        return {"password": list(error.messages)}
    return {}
