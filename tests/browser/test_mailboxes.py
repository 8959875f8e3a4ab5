"""A mailbox's life in the console: made, mistaken, mended, given a credential, copied, deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Download, Page, expect

from .conftest import Console

TENANT = "0f3bc2ad-51c5-4b64-9d5b-61b1d9b0a001"
CLIENT_ID = "0f3bc2ad-51c5-4b64-9d5b-61b1d9b0a002"
OBJECT_ID = "0f3bc2ad-51c5-4b64-9d5b-61b1d9b0a003"
SERVICE_PRINCIPAL = "0f3bc2ad-51c5-4b64-9d5b-61b1d9b0a004"
SECRET = "tYk8Q~planted.in.the.console_0123456789ab"


@pytest.fixture
def mailbox(admin: Page, request: pytest.FixtureRequest) -> Iterator[str]:
    """A mailbox of the test's own, open at its credentials; deleted afterwards."""
    name = request.node.name
    fill_in(admin, name)
    admin.get_by_role("button", name="Save and go on").click()
    expect(admin.get_by_role("status")).to_contain_text("is saved")
    address = admin.url.removesuffix("credentials")
    yield name
    admin.goto(address)
    if admin.get_by_role("button", name="Delete", exact=True).count():
        admin.get_by_role("button", name="Delete", exact=True).click()
        admin.get_by_role("dialog").get_by_role("button", name="Delete the mailbox").click()
        expect(admin.get_by_role("status")).to_contain_text("is deleted")


def fill_in(page: Page, name: str) -> None:
    page.goto("/mailboxes/")
    page.get_by_role("link", name="Add a mailbox").first.click()
    page.get_by_role("link", name="Microsoft 365 via Azure application", exact=True).click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Address", exact=True).fill("sales@contoso.example")
    page.get_by_label("Directory (tenant) ID").fill(TENANT)
    page.get_by_label("Application (client) ID").fill(CLIENT_ID)
    page.get_by_label("Object ID of the Enterprise application").fill(SERVICE_PRINCIPAL)


@pytest.mark.parametrize(
    ("label", "typed", "said"),
    [
        ("Object ID of the Enterprise application", CLIENT_ID, "This is the Application (client) ID"),
        ("Object ID of the Enterprise application", OBJECT_ID, "App registration"),
        ("SMTP host", "outlook.office365.com", "smtp.office365.com"),
        ("Address", "sales at contoso", "not an address"),
    ],
)
def test_a_mixup_is_named_at_its_field(admin: Page, label: str, typed: str, said: str) -> None:
    fill_in(admin, "Mixed up")
    admin.get_by_label("Object ID of the App registration").fill(OBJECT_ID)
    admin.get_by_text("Servers, ports and sign-in").click()
    field = admin.get_by_label(label, exact=True)
    field.fill(typed)
    admin.get_by_role("button", name="Save and go on").click()
    expect(admin.get_by_role("alert")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value(typed)
    expect(field).to_be_focused()
    described = (field.get_attribute("aria-describedby") or "").split()
    texts = [admin.locator(f"#{one}").inner_text() for one in described]
    assert any(said in text for text in texts), texts


def test_only_the_fields_that_matter_are_shown(admin: Page) -> None:
    admin.goto("/mailboxes/new/sendgrid")
    expect(admin.get_by_label("Application (client) ID")).to_have_count(0)
    expect(admin.get_by_label("Read the inbox")).to_have_count(0)
    admin.goto("/mailboxes/new/other")
    client_id = admin.get_by_label("Application (client) ID")
    expect(client_id).to_be_hidden()
    expect(admin.get_by_label("User name")).to_be_visible()
    admin.get_by_label("Signs in by").select_option("oauth")
    expect(client_id).to_be_visible()
    expect(admin.get_by_label("User name")).to_be_hidden()
    admin.get_by_label("Sends by").select_option("none")
    expect(admin.get_by_label("SMTP host")).to_be_hidden()


def test_a_secret_goes_in_and_never_comes_out(admin: Page, mailbox: str, console: Console) -> None:
    value = admin.get_by_label("Value of the secret")
    value.fill(CLIENT_ID)
    admin.get_by_role("button", name="Keep the secret").click()
    expect(value).to_have_attribute("aria-invalid", "true")
    expect(value).to_have_value("")  # a password field is never filled from here, not even with what was wrong
    value.fill(SECRET)
    admin.get_by_label("Expires on").fill("2099-01-31")
    admin.get_by_role("button", name="Keep the secret").click()
    expect(admin.get_by_role("main")).to_contain_text(f"ends in {SECRET[-4:]}, expires 2099-01-31")
    for address in (admin.url, admin.url.removesuffix("credentials"), "/account/audit", "/mailboxes/"):
        admin.goto(address)
        assert SECRET not in admin.content()
    kept = b"".join(path.read_bytes() for path in console.home.iterdir() if path.is_file())
    assert SECRET.encode() not in kept


def test_a_certificate_is_made_and_its_public_part_downloaded(admin: Page, mailbox: str) -> None:
    admin.get_by_text("Use a certificate").click()
    admin.get_by_role("button", name="Make a certificate").click()
    with admin.expect_download() as waiting:
        admin.get_by_role("link", name="Download public part").click()
    download: Download = waiting.value
    text = download.path().read_text()
    assert "BEGIN CERTIFICATE" in text
    assert "PRIVATE" not in text


def test_a_mailbox_is_found_copied_and_switched_off(admin: Page, mailbox: str) -> None:
    admin.goto("/mailboxes/?search=" + mailbox[:12])
    admin.get_by_role("link", name=mailbox, exact=True).click()
    admin.get_by_role("button", name="Copy", exact=True).click()
    admin.get_by_role("dialog").get_by_label("Name of the copy").fill("Its twin")
    admin.get_by_role("dialog").get_by_role("button", name="Copy").click()
    expect(admin.get_by_role("heading", level=1)).to_have_text("Its twin")
    expect(admin.get_by_label("Application (client) ID")).to_have_value(CLIENT_ID)
    admin.get_by_role("link", name="Overview").last.click()
    admin.get_by_role("button", name="Switch off").click()
    expect(admin.get_by_role("status")).to_contain_text("Its twin is switched off")
    admin.get_by_role("button", name="Delete", exact=True).click()
    admin.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(admin.get_by_role("dialog")).to_be_hidden()
    admin.get_by_role("button", name="Delete", exact=True).click()
    admin.get_by_role("dialog").get_by_role("button", name="Delete the mailbox").click()
    expect(admin.get_by_role("status")).to_contain_text("Its twin is deleted")
    admin.goto("/mailboxes/?search=twin")
    expect(admin.get_by_role("main")).to_contain_text("No mailbox is called")


def test_a_proof_shows_its_stages_and_the_fix(admin: Page, mailbox: str) -> None:
    """With no credential there is nothing to sign in with: the cheapest failure, told as any other."""
    admin.get_by_role("link", name="Test", exact=True).click()
    expect(admin.get_by_label("Send the test mail to")).to_have_value("admin@contoso.example")
    admin.get_by_role("button", name="Start the test").click()
    expect(admin.get_by_role("heading", name="It does not work yet")).to_be_visible(timeout=30_000)
    assert admin.locator(".stage.failed").count() == 1
    expect(admin.locator(".stage.failed")).to_contain_text("credential")
    admin.get_by_role("link", name="Mailboxes").first.click()
    row = admin.get_by_role("row", name=re.compile(mailbox))
    expect(row).to_contain_text("credential")


def test_a_gateway_is_imported_from_its_properties(admin: Page) -> None:
    admin.goto("/mailboxes/import")
    admin.get_by_label("Properties").fill(
        "mail.host=smtp.contoso.example\nmail.port=587\nmail.smtp.auth=true\nmail.smtp.starttls.enable=true\n"
        "mail.smtp.user=relay\nmail.smtp.password=planted-gateway-password\n"
        "mail.defaultSender=relay@contoso.example\nmail.defaultSubjectPrefix=[Dev] \n"
        "mail.smtp.socketFactory.port=587\n"
    )
    admin.get_by_role("button", name="Import").click()
    expect(admin.get_by_role("status")).to_contain_text("is imported")
    expect(admin.get_by_role("main")).to_contain_text("smtp.contoso.example:587")
    assert "planted-gateway-password" not in admin.content()
    admin.get_by_role("button", name="Delete", exact=True).click()
    admin.get_by_role("dialog").get_by_role("button", name="Delete the mailbox").click()


def test_a_provider_is_copied_edited_and_deleted(admin: Page) -> None:
    admin.goto("/mailboxes/providers/")
    admin.get_by_role("button", name="Copy Google Workspace / Gmail").click()
    admin.get_by_label("Name", exact=True).fill("Our Google")
    admin.get_by_label("SMTP port").fill("465")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_role("status")).to_contain_text("Our Google is saved")
    admin.get_by_role("button", name="Delete Our Google").click()
    admin.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(admin.get_by_role("status")).to_contain_text("is deleted")
