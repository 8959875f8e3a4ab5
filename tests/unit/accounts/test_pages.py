"""The gate before every page, and what an answer must never do."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from postroom.accounts import links, service
from postroom.accounts.audit import SYSTEM

pytestmark = pytest.mark.django_db
OPEN = {"account/sign-in", "account/link", "account/first", "healthz", "readyz", "metrics"}
PASSWORD = "a ladder in the orchard"


def addresses(patterns: list[URLPattern | URLResolver], before: str = "") -> list[str]:
    found: list[str] = []
    for one in patterns:
        path = before + str(one.pattern)
        found += addresses(one.url_patterns, path) if isinstance(one, URLResolver) else [path]
    return found


def test_every_other_page_asks_who_is_there(client: Client) -> None:
    paths = addresses(get_resolver().url_patterns)
    assert len(paths) > 25
    for path in set(paths) - OPEN:
        filled = re.sub(r"<slug:\w+>", "google", re.sub(r"<int:\w+>", "1", path))
        assert "<" not in filled
        answer = client.get("/" + filled)
        assert answer.status_code == 302, path
        assert answer.headers["Location"].startswith("/account/sign-in?next="), path


@pytest.mark.parametrize("method", ["get", "head"])
def test_opening_a_link_signs_nobody_in(client: Client, method: str) -> None:
    service.add_person("ada@contoso.example", "administrator", SYSTEM)
    answer = getattr(client, method)("/account/link")
    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session


def test_a_form_from_elsewhere_is_refused() -> None:
    person = service.add_person("ada@contoso.example", "administrator", SYSTEM)
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/account/link", {"token": links.make(person, SYSTEM)})
    assert answer.status_code == 403
    assert b"The form was too old" in answer.content


def test_a_verb_of_another_role_is_refused_before_anything_happens(client: Client) -> None:
    reader = service.add_person("reader@contoso.example", "reader", SYSTEM)
    client.force_login(reader, "django.contrib.auth.backends.ModelBackend")
    for path in ("/mailboxes/1/delete", "/mailboxes/1/credentials", "/account/people", "/mailboxes/1/send"):
        answer = client.post(path)
        assert answer.status_code == 403, path
        assert b"Administrator" in answer.content


def test_failed_and_good_sign_ins_are_in_the_log(client: Client) -> None:
    from postroom.accounts.models import AuditEvent

    service.add_person("ada@contoso.example", "administrator", SYSTEM, password=PASSWORD)
    client.post("/account/sign-in", {"email": "ada@contoso.example", "password": "not it at all"})
    client.post("/account/sign-in", {"email": "ada@contoso.example", "password": PASSWORD})
    rows = list(AuditEvent.objects.order_by("id").values_list("action", "actor", "subject"))[1:]
    assert rows == [
        ("sign-in.failed", "anonymous", "ada@contoso.example"),
        ("sign-in.succeeded", "ada@contoso.example", "ada@contoso.example"),
    ]
