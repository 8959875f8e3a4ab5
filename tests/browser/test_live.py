"""The main job by hand: a mailbox of the lab's tenant, configured, proved, sent from and read, in the console."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from postroom.microsoft.clouds import write_cloud

from .conftest import Console


@pytest.fixture(scope="module")
def tenant(console: Console) -> Iterator[dict[str, Any]]:
    """A lab, made known to the console as one more cloud."""
    ports = [word for name in ("https", "smtp", "imap", "pop", "introspection") for word in (f"--{name}-port", "0")]
    with (
        (console.home / "lab.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "m365lab", "serve", "--json", *ports], stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        write_cloud(console.home / "clouds", said["cloud"])
        yield said
        process.terminate()


@pytest.fixture(autouse=True)
def left_clean(console: Console) -> Iterator[None]:
    """The lab has one ready-made application: each test starts without its credentials."""
    yield
    for row in json.loads(console.run("mailbox", "list", "--json")):
        console.run("mailbox", "delete", row["name"], "--yes")


def configure(page: Page, tenant: dict[str, Any], name: str, secret: str, service_principal: str) -> None:
    application = tenant["application"]
    page.goto("/mailboxes/new/microsoft-365")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Address", exact=True).fill(application["mailbox"])
    page.get_by_label("Directory (tenant) ID").fill(tenant["tenant_id"])
    page.get_by_label("Application (client) ID").fill(application["client_id"])
    page.get_by_label("Object ID of the Enterprise application").fill(service_principal)
    page.get_by_label("Cloud").select_option(label=tenant["cloud"]["title"])
    page.get_by_role("button", name="Save and go on").click()
    page.get_by_label("Value of the secret").fill(secret)
    page.get_by_role("button", name="Keep the secret").click()
    expect(page.get_by_role("status")).to_contain_text("is kept")
    page.get_by_role("link", name="Test", exact=True).click()
    page.get_by_role("button", name="Start the test").click()


def test_a_mailbox_is_proved_sent_from_and_read(admin: Page, tenant: dict[str, Any]) -> None:
    application = tenant["application"]
    configure(admin, tenant, "Live", application["client_secret"], application["service_principal_id"])
    expect(admin.get_by_role("heading", name="Everything works")).to_be_visible(timeout=90_000)
    assert admin.locator(".stage").count() == admin.locator(".stage.passed").count() == 11
    expect(admin.locator("#health")).to_have_text("healthy")  # without a reload

    admin.get_by_role("link", name="Send").click()
    admin.get_by_label("To", exact=True).fill("nobody here")
    admin.get_by_role("button", name="Send").click()
    expect(admin.get_by_label("To", exact=True)).to_have_attribute("aria-invalid", "true")
    admin.get_by_label("To", exact=True).fill(application["mailbox"])
    admin.get_by_label("Subject").fill("Grüße <b>from</b> the console")
    admin.get_by_label("Text").fill("Line one\n<script>document.title = 'broken'</script>")
    admin.get_by_label("Attachments").set_input_files(
        [{"name": "list.csv", "mimeType": "text/csv", "buffer": b"a,b\n"}]
    )
    admin.get_by_role("button", name="Send").click()
    expect(admin.get_by_role("main")).to_contain_text("250 2.0.0 OK")

    admin.get_by_role("link", name="Inbox").click()
    admin.get_by_role("link", name="Grüße <b>from</b> the console").click()
    main = admin.get_by_role("main")
    expect(main).to_contain_text("<script>document.title = 'broken'</script>")
    expect(main).to_contain_text("list.csv")
    admin.get_by_text("All headers").click()
    expect(main).to_contain_text("Authentication-Results")
    assert "broken" not in admin.title()


def test_the_object_id_mixup_is_found_in_the_token(admin: Page, tenant: dict[str, Any]) -> None:
    application = tenant["application"]
    configure(admin, tenant, "Mixed up", application["client_secret"], application["object_id"])
    expect(admin.get_by_role("heading", name="It does not work yet")).to_be_visible(timeout=90_000)
    card = admin.get_by_role("region", name="What is wrong").first
    expect(card).to_contain_text("is not the one of the service principal in the token")
    expect(card.locator("pre")).to_contain_text(application["service_principal_id"])  # the fix names the right one
    expect(admin.locator("#health")).to_have_text("failing")
    admin.get_by_role("link", name="Overview").first.click()
    expect(admin.get_by_role("main")).to_contain_text("Mixed up")


def test_a_wrong_tenant_is_explained_with_its_fix(admin: Page, tenant: dict[str, Any]) -> None:
    application = tenant["application"]
    elsewhere = tenant | {"tenant_id": "0f3bc2ad-51c5-4b64-9d5b-61b1d9b0a001"}
    configure(admin, elsewhere, "Elsewhere", application["client_secret"], application["service_principal_id"])
    expect(admin.get_by_role("heading", name="It does not work yet")).to_be_visible(timeout=90_000)
    expect(admin.get_by_role("region", name="What is wrong")).to_contain_text("AADSTS90002")
    assert application["client_secret"] not in admin.content()
    admin.context.grant_permissions(["clipboard-read", "clipboard-write"])
    admin.get_by_role("button", name="Copy the command").first.click()
    expect(admin.get_by_role("button", name="Copied")).to_be_visible()
    assert admin.evaluate("navigator.clipboard.readText()") == admin.locator(".diagnosis pre").inner_text().strip()
