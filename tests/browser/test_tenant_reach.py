"""The pages of set-ups for everybody: by keyboard and screen reader, on a phone, in the dark, and by role.

Pictures for the docs as in test_tenant_wizard.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from postroom.microsoft.clouds import write_cloud
from support.lab import RunningLab

from . import conftest
from .conftest import Console, looking
from .test_reach import _DANGLING, _NAMELESS, _TWICE, _tab_to
from .test_tenant_wizard import describe, save, see_plan, shot, sign_in

PAGES = ("", "wanted", "wanted/file", "sign-in", "sign-in/application", "plan", "apply", "proof", "hand-over", "rotate")


@pytest.fixture(scope="module")
def lab(console: Console) -> Iterator[RunningLab]:
    with RunningLab("--empty") as running:
        write_cloud(console.home / "clouds", running.cloud)
        running.control("PATCH", "/device-codes", {"interval": 1})
        yield running


@pytest.fixture(scope="module")
def planned(browser: Browser, console: Console, lab: RunningLab) -> str:
    """The path of a set-up that was described and looked at, not applied."""
    path = ""
    for page in looking(browser, console):
        conftest.sign_in(page, "admin@contoso.example")
        describe(page, lab, "Within reach", "a-rather-long-address.for-a-narrow-window@contoso.example")
        save(page)
        sign_in(page, lab)
        see_plan(page)
        path = urlsplit(page.url).path.removesuffix("plan")
    return path


def test_every_page_is_sound_and_fits_its_window(admin: Page, planned: str) -> None:
    for path in ("/tenant/", "/tenant/new", "/tenant/new/file", *(planned + one for one in (*PAGES, "remove"))):
        admin.goto(path)
        assert admin.locator("h1").count() == 1, path
        assert admin.evaluate(_NAMELESS) == [], path
        assert admin.evaluate(_DANGLING) == [], path
        assert admin.evaluate(_TWICE) == [], path
        # Opened all at once by the script: what is folded away must fit too.
        admin.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        for width in (360, 768, 1280):
            admin.set_viewport_size({"width": width, "height": 800})
            assert admin.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
        admin.set_viewport_size({"width": 1280, "height": 720})


def test_the_picture_stands_upright_on_a_phone_and_in_the_dark(admin: Page, planned: str) -> None:
    admin.emulate_media(color_scheme="dark")
    admin.set_viewport_size({"width": 390, "height": 844})
    admin.goto(planned + "plan")
    lanes = [lane.bounding_box() for lane in admin.locator(".lane").all()]
    tops = [box["y"] for box in lanes if box]
    assert len(tops) == len(lanes) == 3
    assert tops == sorted(set(tops))  # one below the other
    box = admin.locator(".box").first
    dark = box.evaluate("one => getComputedStyle(one).backgroundColor")
    shot(admin, "tenant-phone", width=390)
    admin.emulate_media(color_scheme="light")
    assert box.evaluate("one => getComputedStyle(one).backgroundColor") != dark


def test_a_set_up_is_described_by_keyboard(admin: Page, lab: RunningLab) -> None:
    admin.goto("/tenant/new")
    _tab_to(admin, "Tenant")
    admin.keyboard.type(lab.domain)
    _tab_to(admin, "Cloud")
    admin.keyboard.type(lab.cloud["title"])
    _tab_to(admin, "Name of the application")
    admin.keyboard.press("Control+A")
    admin.keyboard.type("By keyboard")
    _tab_to(admin, "Address")
    admin.keyboard.type("keyboard@contoso.example")
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("heading", level=1)).to_have_text("By keyboard")
    expect(admin.get_by_role("navigation", name="Steps of the set-up").locator("[aria-current=step]")).to_contain_text(
        "Sign in"
    )
    admin.goto(re.sub("sign-in$", "remove", admin.url))
    admin.get_by_role("button", name="Delete the set-up").click()
    admin.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(admin.get_by_role("status").first).to_contain_text("By keyboard is deleted")


def test_mailboxes_are_added_and_left_out_without_losing_what_was_typed(admin: Page) -> None:
    admin.goto("/tenant/new")
    admin.get_by_label("Address", exact=True).fill("first@contoso.example")
    admin.get_by_role("button", name="Another mailbox").click()
    expect(admin.get_by_role("alert")).to_have_count(0)  # nothing is judged yet
    admin.get_by_label("Address", exact=True).last.fill("second@contoso.example")
    admin.get_by_role("button", name="Another mailbox").click()
    admin.get_by_role("button", name=re.compile("Leave it out.*mailbox 1")).click()
    values = [one.input_value() for one in admin.get_by_label("Address", exact=True).all()]
    assert values == ["second@contoso.example", ""]
    save(admin)
    expect(admin.get_by_label("Tenant", exact=True)).to_have_attribute("aria-invalid", "true")


def test_a_set_up_comes_from_a_file_and_a_fault_says_its_line(admin: Page) -> None:
    admin.goto("/tenant/new/file")
    text = admin.get_by_label("Wanted state")
    text.fill("tenant: contoso.example\nmailboxes:\n  - address: nobody\n")
    admin.get_by_role("button", name="Save and go on").click()
    expect(admin.get_by_role("alert")).to_contain_text("line 3")
    expect(text).to_have_value(re.compile("nobody"))


def test_a_reader_sees_how_it_stands_and_changes_nothing(page: Page, planned: str) -> None:
    conftest.sign_in(page, "reader@contoso.example")
    page.goto("/tenant/")
    expect(page.get_by_role("link", name="Set up a tenant")).to_have_count(0)
    page.get_by_role("link", name="Within reach").click()
    expect(page.get_by_role("heading", name="The set-up")).to_be_visible()
    expect(page.get_by_role("navigation", name="Steps of the set-up")).to_have_count(0)
    for part in ("plan", "sign-in", "hand-over", "hand-over/script", "rotate", "remove"):
        answer = page.goto(planned + part)
        assert answer is not None
        assert answer.status == 403, part
