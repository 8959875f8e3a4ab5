"""What is around every page: policy, ids, errors, navigation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path, reverse

from postroom.accounts import service
from postroom.accounts.audit import SYSTEM
from postroom.accounts.rules import ROLES
from postroom.console import navigation
from postroom.console.context import shell
from postroom.console.errors import server_error
from postroom.core.faults import Fault, NotFound


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("planted-secret-in-an-exception")


def faulty(request: HttpRequest) -> HttpResponse:
    raise Fault("the cupboard is locked", "Bring the key.")


def missing(request: HttpRequest) -> HttpResponse:
    raise NotFound("there is no cupboard", "Buy one.")


urlpatterns = [
    path("", faulty, name="home"),
    path("broken", broken),
    path("faulty", faulty),
    path("missing", missing),
]
handler500 = server_error


@pytest.fixture
def signed_in(client: Client, db: None) -> Client:
    person = service.add_person("ada@contoso.example", "administrator", SYSTEM)
    client.force_login(person, "django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def odd_pages(client: Client) -> Iterator[None]:
    client.raise_request_exception = False
    with override_settings(
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["postroom.console.middleware.RequestLog", "postroom.console.middleware.Faults"],
    ):
        yield


def test_every_answer_has_an_id_and_a_strict_policy(signed_in: Client) -> None:
    answer = signed_in.get("/")
    assert len(answer.headers["X-Request-ID"]) == 16
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("address", ["/", "/mailboxes/", "/mailboxes/new", "/account/people", "/account/audit"])
def test_pages_need_nobody_elses_server_and_no_inline_code(signed_in: Client, address: str) -> None:
    text = signed_in.get(address).content.decode()
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick=" not in text
    assert 'src="http' not in text
    assert text.count("<script") == text.count('<script src="/static/')


def test_an_unexpected_error_shows_its_id_and_not_itself(client: Client, odd_pages: None) -> None:
    answer = client.get("/broken")
    assert answer.status_code == 500
    text = answer.content.decode()
    assert answer.headers["X-Request-ID"] in text
    assert "planted-secret" not in text
    assert "log" in text


@pytest.mark.parametrize(
    ("address", "status", "said"), [("/faulty", 422, "Bring the key."), ("/missing", 404, "Buy one.")]
)
def test_a_fault_becomes_a_page_with_its_fix(
    client: Client, odd_pages: None, address: str, status: int, said: str
) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert said in answer.content.decode()


def test_the_shell_asks_the_database_nothing_of_strangers() -> None:
    """No `db` mark: pytest-django fails the test when a table is touched."""
    from django.contrib.auth.models import AnonymousUser

    request = RequestFactory().get("/", headers={"Cookie": "theme=dark"})
    request.user = AnonymousUser()
    assert shell(request)["theme"] == "dark"
    assert "navigation" not in shell(request)


def test_a_theme_that_is_none_is_not_echoed() -> None:
    request = RequestFactory().get("/", headers={"Cookie": 'theme="><script>'})
    assert shell(request)["theme"] == ""


def test_navigation_leads_to_pages_and_shows_only_what_one_may() -> None:
    assert all(reverse(entry.view) for entry in navigation.ENTRIES)
    seen = ["Overview", "Mailboxes", "Providers", "Apps", "Ports", "Azure set-up"]
    assert [entry.title for entry in navigation.entries_for("reader")] == seen
    assert len(navigation.entries_for("administrator")) == len(navigation.ENTRIES)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("address", "title"),
    [("/", "Overview"), ("/mailboxes/7/test", "Mailboxes"), ("/mailboxes/providers/google", "Providers")],
)
def test_the_present_entry_is_marked(role: str, address: str, title: str) -> None:
    entry = navigation.present(address, navigation.entries_for(role))
    assert entry is not None
    assert entry.title == title


def test_probes_answer_without_signing_in(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/healthz").content == b"ok\n"
    assert client.get("/readyz").status_code == 200

    def no_cursor() -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(connection, "cursor", no_cursor)
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
