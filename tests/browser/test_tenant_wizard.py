"""The wizard walked in Chromium: by one's own rights, and by a colleague's; left, interrupted, and taken up again.

With DOCS_SHOTS=FOLDER (`make docs-shots`) it leaves the pictures of docs/tenant-wizard.md there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Download, Page, expect

from postroom.microsoft.clouds import write_cloud
from support.lab import RunningLab
from support.postroom import Postroom, RunningPostroom

from . import conftest
from .conftest import Console, looking

ADMINISTRATOR = "admin@contoso.example"
EXCHANGE_ADMINISTRATOR = "29232cdf-9323-42fd-ade2-1d097af3e4de"
LONG = 120_000
"""Milliseconds that a proof in several ways may take on a busy machine."""
_SHOTS = os.environ.get("DOCS_SHOTS", "")


@pytest.fixture(scope="module")
def lab(console: Console) -> Iterator[RunningLab]:
    """An empty tenant, made known to the console as one more cloud."""
    with RunningLab("--empty") as running:
        write_cloud(console.home / "clouds", running.cloud)
        running.control("PATCH", "/device-codes", {"interval": 1})
        yield running


@pytest.fixture(autouse=True)
def without_faults(lab: RunningLab) -> Iterator[None]:
    yield
    lab.control("DELETE", "/faults")


def shot(page: Page, name: str, width: int = 1200) -> None:
    """A picture of the page in a high window."""
    if not _SHOTS:
        return
    page.evaluate("document.querySelectorAll('[data-dismiss]').forEach(one => one.click())")
    page.set_viewport_size({"width": width, "height": 700})
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(int(height), 1500)})
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=Path(_SHOTS, f"{name}.png"), animations="disabled")
    page.set_viewport_size({"width": 1280, "height": 720})


def describe(page: Page, lab: RunningLab, name: str, address: str) -> None:
    """Fills in the wizard's first page, as far as it differs from what is usual."""
    page.goto("/tenant/")
    page.get_by_role("link", name="Set up a tenant").first.click()
    page.get_by_label("Tenant", exact=True).fill(lab.domain)
    page.get_by_label("Cloud", exact=True).select_option(label=lab.cloud["title"])
    page.get_by_label("Name of the application").fill(name)
    page.get_by_label("Address", exact=True).fill(address)
    page.get_by_label("Display name").fill(name)


def save(page: Page) -> None:
    page.locator(".form-foot").get_by_role("button", name="Save").click()


def type_codes(page: Page, lab: RunningLab, user: str = ADMINISTRATOR) -> None:
    """Does "on another device" what the page asks for, until it asks for nothing more."""
    while page.url.endswith("/sign-in"):
        shown = page.locator("#user-code").inner_text()
        lab.control("POST", f"/device-codes/{shown}", {"user": user})
        page.wait_for_function(
            "shown => location.pathname.endsWith('/plan') || document.getElementById('user-code')?.innerText !== shown",
            arg=shown,
        )


def sign_in(page: Page, lab: RunningLab, user: str = ADMINISTRATOR) -> None:
    page.get_by_role("button", name="Show me a code").click()
    type_codes(page, lab, user)


def see_plan(page: Page) -> None:
    expect(page.get_by_role("heading", name=re.compile(r"\d+ steps?, in this order"))).to_be_visible(timeout=LONG)


def apply(page: Page) -> None:
    page.get_by_role("button", name="Apply this plan").click()
    expect(page.get_by_role("heading", name=re.compile(r"All \d+ steps are done"))).to_be_visible(timeout=LONG)


def prove(page: Page) -> None:
    page.get_by_role("link", name="Prove that it works").click()
    start_proof(page)


def start_proof(page: Page) -> None:
    page.get_by_role("button", name="Start the proof").click()
    expect(page.get_by_role("heading", name="Done: the mailbox works")).to_be_visible(timeout=LONG)


def marks(page: Page) -> set[str]:
    """What the picture says of things, by its legend."""
    return set(page.locator(".legend li").all_inner_texts())


def test_from_an_empty_tenant_to_a_mailbox_that_works(admin: Page, lab: RunningLab) -> None:
    describe(admin, lab, "Notices", "notices@contoso.example")
    admin.get_by_label("POP3", exact=True).check()
    admin.get_by_label("Microsoft Graph", exact=True).check()
    admin.get_by_text("People, other From addresses").click()
    admin.get_by_label("People who open it").fill("megan@contoso.example")
    shot(admin, "tenant-describe")
    wrong = admin.get_by_label("Address", exact=True)
    wrong.fill("notices at contoso")
    save(admin)
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_be_focused()
    expect(admin.get_by_label("POP3", exact=True)).to_be_checked()
    wrong.fill("notices@contoso.example")
    save(admin)

    admin.get_by_role("button", name="Show me a code").click()
    code = admin.locator("#user-code")
    expect(admin.get_by_text("Waiting for you to sign in")).to_be_visible()
    shot(admin, "tenant-sign-in")
    shown = code.inner_text()
    admin.goto("/")  # left, and come back to
    admin.get_by_role("link", name="Azure set-up").click()
    admin.get_by_role("link", name="Notices").click()
    admin.get_by_role("link", name="Sign in to the tenant").click()
    expect(code).to_have_text(shown)
    type_codes(admin, lab)

    see_plan(admin)
    assert marks(admin) == {"will be made", "will be changed"}
    expect(admin.locator(".box", has_text="megan@contoso.example opens it")).to_be_visible()
    admin.get_by_text("What it calls").first.click()
    expect(admin.locator(".steps pre").first).to_contain_text("Graph POST /applications")
    assert not any(one["name"] == "Notices" for one in lab.control("GET", "/applications"))
    admin.reload()
    shot(admin, "tenant-plan")

    lab.control("PUT", "/faults/slow", {"values": {"seconds": 0.4}})
    admin.get_by_role("button", name="Apply this plan").click()
    expect(admin.get_by_role("heading", name="Applying…")).to_be_visible()
    expect(admin.locator(".stage.done").first).to_be_visible(timeout=LONG)  # live, while others are still to be done
    expect(admin.locator(".stage.planned").first).to_be_visible()
    shot(admin, "tenant-apply")
    lab.control("DELETE", "/faults")
    expect(admin.get_by_role("heading", name=re.compile(r"All \d+ steps are done"))).to_be_visible(timeout=LONG)
    assert marks(admin) == {"done"}
    expect(admin.get_by_role("main")).to_contain_text(re.compile(r"\d+ round trips"))

    prove(admin)
    assert admin.locator(".way .badge.good").count() == 3
    expect(admin.get_by_role("region", name="What the application can reach")).to_contain_text("Mail.ReadWrite")
    assert admin.get_by_text("not needed", exact=True).count() == 0
    shot(admin, "tenant-proof")
    admin.get_by_role("link", name="notices@contoso.example").click()
    expect(admin.locator("#health")).to_have_text("healthy")

    admin.goto("/tenant/")
    row = admin.get_by_role("row", name=re.compile("Notices"))
    expect(row).to_contain_text("proved")
    row.get_by_role("link", name="Notices").click()
    admin.get_by_role("link", name="Look for drift").click()
    admin.get_by_role("button", name="Look again").click()
    expect(admin.get_by_role("heading", name="Nothing to do")).to_be_visible(timeout=LONG)
    assert marks(admin) == {"there"}


def colleague(lab: RunningLab, address: str) -> dict[str, Any]:
    """Does in the portal and in PowerShell what the papers ask for; returns the application."""
    roles = ["SMTP.SendAsApp", "IMAP.AccessAsApp"]
    created = lab.control("POST", "/applications", {"name": "Handed over", "roles": {"exchange": roles}})
    lab.control("POST", "/mailboxes", {"address": address, "shared": True})
    ids = {"app_id": created["app_id"], "object_id": created["service_principal_id"]}
    lab.control("POST", "/exchange/principals", ids | {"name": "Handed over"})
    lab.control("PUT", f"/mailboxes/{address}/rights/full-access/{created['app_id']}")
    lab.control("PATCH", f"/mailboxes/{address}", {"smtp_auth_disabled": False})
    return dict(created)


def test_somebody_else_has_the_rights(admin: Page, lab: RunningLab, console: Console) -> None:
    describe(admin, lab, "Handed over", "handed@contoso.example")
    save(admin)
    admin.get_by_role("link", name="Hand it over").click()
    with admin.expect_download() as waiting:
        admin.get_by_role("link", name="Download the script").click()
    script: Download = waiting.value
    text = script.path().read_bytes()
    assert script.suggested_filename == "handed-over-script.ps1"
    assert text.isascii()
    assert b"New-Mailbox -Shared" in text
    expect(admin.locator(".sheet li").first).to_contain_text("New registration")
    admin.context.grant_permissions(["clipboard-read", "clipboard-write"])
    admin.get_by_role("button", name="Copy SMTP.SendAsApp").click()
    expect(admin.get_by_role("button", name="Copied SMTP.SendAsApp")).to_be_visible()
    assert admin.evaluate("navigator.clipboard.readText()") == "SMTP.SendAsApp"
    shot(admin, "tenant-hand-over")

    made = colleague(lab, "handed@contoso.example")
    secret = made["secrets"][0]["value"]
    ids = {
        "tenant": lab.tenant_id,
        "client_id": made["app_id"],
        "application_object_id": made["id"],
        "service_principal_id": made["service_principal_id"],
    }
    mixed_up = ids | {"service_principal_id": made["id"], "secret": secret, "secret_expires": "2099-01-31"}
    paste(admin, mixed_up)
    wrong = admin.get_by_label("Object ID of the Enterprise application")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_have_value(made["id"])
    expect(admin.get_by_role("main")).to_contain_text("App registration")
    assert secret not in admin.content()
    paste(admin, mixed_up | ids)
    expect(admin.get_by_role("status").first).to_contain_text("Configured: handed@contoso.example")
    start_proof(admin)
    assert secret not in admin.content()
    for path in (path for path in console.home.iterdir() if path.is_file()):
        assert secret.encode() not in path.read_bytes(), path


def paste(page: Page, answer: dict[str, str]) -> None:
    block = "\n".join(f"{key}: {value}" for key, value in answer.items())
    page.get_by_label("The block that your colleague sent back").fill(block)
    page.get_by_role("button", name="Check and keep").click()


def test_lacking_rights_are_told_before_anything_is_changed(admin: Page, lab: RunningLab) -> None:
    lab.control("PATCH", "/users/lee@contoso.example", {"directory_roles": [EXCHANGE_ADMINISTRATOR]})
    describe(admin, lab, "Too few rights", "few@contoso.example")
    save(admin)
    if admin.get_by_role("button", name="Sign out of the tenant").count():  # of an earlier test: one sign-in a tenant
        admin.get_by_role("button", name="Sign out of the tenant").click()
    sign_in(admin, lab, "lee@contoso.example")
    expect(admin.get_by_role("heading", name=re.compile("Rights are lacking"))).to_be_visible(timeout=LONG)
    lacks = admin.get_by_role("region", name=re.compile("Rights are lacking"))
    expect(lacks).to_contain_text("Application Administrator")
    expect(admin.get_by_role("button", name="Apply this plan")).to_have_count(0)
    lacks.get_by_role("link", name="Hand it over").click()
    expect(admin.get_by_role("heading", name="1. Send these to your colleague")).to_be_visible()
    assert not any(one["name"] == "Too few rights" for one in lab.control("GET", "/applications"))
    admin.goto(admin.url.replace("hand-over", "sign-in"))
    admin.get_by_role("button", name="Sign out of the tenant").click()


def test_drift_is_shown_mended_rotated_and_all_taken_away(admin: Page, lab: RunningLab) -> None:
    describe(admin, lab, "Drifting", "drifting@contoso.example")
    save(admin)
    sign_in(admin, lab)
    see_plan(admin)
    apply(admin)
    (application,) = (one for one in lab.control("GET", "/applications") if one["name"] == "Drifting")
    lab.control("DELETE", f"/applications/{application['id']}/roles/exchange/IMAP.AccessAsApp")
    lab.control("PATCH", "/mailboxes/drifting@contoso.example", {"smtp_auth_disabled": True})

    admin.get_by_role("link", name="Plan", exact=False).first.click()
    admin.get_by_role("button", name="Look again").click()
    see_plan(admin)
    drift = admin.get_by_role("region", name="Not as wanted")
    expect(drift).to_contain_text("IMAP.AccessAsApp has no admin consent")
    expect(drift).to_contain_text("SMTP AUTH is switched off on the mailbox")
    assert marks(admin) == {"there", "will be made", "will be changed"}
    shot(admin, "tenant-drift")
    apply(admin)

    root = re.sub(r"/apply$", "/", admin.url)
    admin.goto(root)
    admin.get_by_role("link", name="Rotate").click()
    admin.get_by_role("button", name="Rotate now").click()
    expect(admin.get_by_text("The new credential")).to_be_visible(timeout=LONG)
    (application,) = (one for one in lab.control("GET", "/applications") if one["name"] == "Drifting")
    assert len(application["secrets"]) == 2

    admin.goto(root)
    admin.get_by_role("link", name="Remove").click()
    admin.get_by_role("button", name="Take it away").click()
    name = admin.get_by_label("Name of the set-up")
    expect(name).to_have_attribute("aria-invalid", "true")
    name.fill("Drifting")
    admin.get_by_role("button", name="Take it away").click()
    expect(admin.get_by_text("What this set-up made is gone")).to_be_visible(timeout=LONG)
    assert not any(one["name"] == "Drifting" for one in lab.control("GET", "/applications"))
    admin.goto(root)
    expect(admin.locator("#health")).to_have_text("not set up")
    assert marks(admin) == {"not looked at yet"}


def test_an_apply_that_was_stopped_is_taken_up_again(
    browser: Browser, lab: RunningLab, tmp_path: Path, console: Console
) -> None:
    postroom = Postroom(tmp_path)
    with RunningPostroom(postroom) as running:
        first = Console(running)
        write_cloud(tmp_path / "clouds", lab.cloud)
        first.add("admin@contoso.example", "administrator")
        for page in looking(browser, first):
            conftest.sign_in(page, "admin@contoso.example")
            describe(page, lab, "Interrupted", "interrupted@contoso.example")
            save(page)
            sign_in(page, lab)
            see_plan(page)
            lab.control("PUT", "/faults/slow", {"values": {"seconds": 1}})
            page.get_by_role("button", name="Apply this plan").click()
            expect(page.locator(".stage.done").first).to_be_visible(timeout=LONG)
            expect(page.get_by_role("heading", name="Applying…")).to_be_visible()
            page.goto("about:blank")  # nobody looks while the server goes
    lab.control("DELETE", "/faults")
    with RunningPostroom(postroom) as running:
        for page in looking(browser, Console(running)):
            conftest.sign_in(page, "admin@contoso.example")
            page.goto("/tenant/")
            expect(page.get_by_role("main")).to_contain_text("it can be taken up again")
            page.get_by_role("link", name="Interrupted").click()
            page.get_by_role("link", name="Go on where it stopped").click()
            expect(page.get_by_role("main")).to_contain_text("Postroom was stopped while this was at work")
            assert page.locator(".stage.done").count() > 0
            page.get_by_role("button", name="Go on").click()
            done = page.get_by_role("heading", name=re.compile(r"All \d+ steps are done"))
            expect(done).to_be_visible(timeout=LONG)
            prove(page)
    assert [one["name"] for one in lab.control("GET", "/applications")].count("Interrupted") == 1
