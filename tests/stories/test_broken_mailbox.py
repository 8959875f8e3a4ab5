"""A broken mailbox never breaks a page, nor a command that lists: it is shown as broken, and says why (X11)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from support.lab import RunningLab
from support.postroom import Postroom, RunningPostroom, Visitor

from .conftest import House

# The mailboxes are made while the first test waits: some twenty processes, one after the other.
pytestmark = pytest.mark.timeout(600)

BROKEN = {
    "Unreadable": "cannot read the credential",
    "Cloud gone": "is not known here any more",
    "No host": "name does not resolve",
    "No credential": "no credential",
    "No application": "application",
    "Nonsense": "",
}
"""Mailbox -> what is said of it somewhere on its page or by its test."""
DAMAGE = {
    "No host": "UPDATE mailboxes_mailbox SET smtp_host = '', incoming_host = '' WHERE name = 'No host'",
    "No application": "UPDATE mailboxes_mailbox SET application_id = NULL WHERE name = 'No application'",
    "Nonsense": "UPDATE mailboxes_mailbox SET smtp_port = 70000, send_by = 'fax', read_by = '?', proxy = ':', "
    "address = 'nobody', folder = '', copies_to = '[\"@\"]' WHERE name = 'Nonsense'",
}


@pytest.fixture(scope="module")
def broken(running_lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> House:
    """One sound mailbox, and beside it one for each way in which a mailbox can be broken behind Postroom's back."""
    postroom = Postroom(tmp_path_factory.mktemp("home"))
    for name in ("lab", "elsewhere"):
        postroom.add_cloud(running_lab.cloud | {"name": name})
    house = House(running_lab, postroom)
    assert postroom.run("migrate").returncode == 0
    house.add("Sound")
    house.add("Unreadable", application=house.application("Unreadable"))
    elsewhere = ("--cloud", "elsewhere")
    house.add("Cloud gone", *elsewhere, application=house.application("Cloud gone"))
    hosts = ("--smtp-host", "smtp.example.org", "--incoming-host", "imap.example.org", "--sign-in-by", "none")
    house.cli("mailbox", "add", "No host", "--provider", "other", "--address", "a@example.org", "--read", *hosts)
    house.add("No credential", application=house.application("No credential"), secret=False)
    house.add("No application", application=house.application("No application"))
    house.add("Nonsense", application=house.application("Nonsense"))
    (postroom.home / "clouds" / "elsewhere.toml").unlink()
    with closing(sqlite3.connect(postroom.home / "postroom.sqlite3")) as database, database:
        for statement in DAMAGE.values():
            assert database.execute(statement).rowcount == 1
        whose = "SELECT application_id FROM mailboxes_mailbox WHERE name = 'Unreadable'"
        spoilt = f"UPDATE mailboxes_credential SET sealed = X'0001020304' WHERE application_id = ({whose})"
        assert database.execute(spoilt).rowcount == 1
    return house


@pytest.fixture(scope="module")
def console(broken: House) -> Iterator[Visitor]:
    with RunningPostroom(broken.postroom) as running, running.signed_in() as visitor:
        yield visitor


def test_every_page_still_comes(console: Visitor) -> None:
    pages = {page.url.raw_path.decode(): page for page in console.crawl()}
    assert {path: page.status_code for path, page in pages.items() if page.status_code != 200} == {}
    shown = pages["/mailboxes/"].text
    assert [name for name in ("Sound", *BROKEN) if name not in shown] == []
    assert len(pages) > 40


def test_the_list_is_given(broken: House) -> None:
    health = {row["name"]: row["health"] for row in broken.cli("mailbox", "list")}
    assert set(health) == {"Sound", *BROKEN}
    assert "healthy" not in health.values()


@pytest.mark.parametrize("name", BROKEN)
def test_its_own_test_says_what_is_wrong(broken: House, console: Visitor, name: str) -> None:
    shown = broken.cli("mailbox", "show", name)
    assert shown["health"] != "healthy"
    tested = broken.cli("mailbox", "test", name, "--to", "megan@contoso.example", "--no-retry", exit_code=1)
    told = " ".join(f"{stage['detail']} {(stage['diagnosis'] or {}).get('cause', '')}" for stage in tested["stages"])
    assert BROKEN[name] in told
    assert "a fault of Postroom" not in told
    assert console.get(f"/mailboxes/{shown['id']}/test").status_code == 200


def test_the_sound_one_works_as_before(broken: House) -> None:
    assert set(broken.prove("Sound").values()) == {"passed"}
