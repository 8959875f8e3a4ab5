"""Everybody reaches everything: every page, by keyboard and screen reader, on a phone, in the dark.

The pages are found by following the links from the overview, so that a new page is looked at too.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from .conftest import PASSWORD, Console

_NAMELESS = """() => [...document.querySelectorAll(
    'input:not([type=hidden]), select, textarea, button, a[href], summary, dialog, nav')]
  .filter(one => !(one.labels?.length || one.getAttribute('aria-label') || one.getAttribute('aria-labelledby')
    || (one.matches('button, a, summary') && one.textContent.trim())))
  .map(one => one.outerHTML.slice(0, 120))"""
_DANGLING = """() => [...document.querySelectorAll('[aria-describedby], [aria-labelledby], label[for]')]
  .flatMap(one => (one.getAttribute('aria-describedby') || one.getAttribute('aria-labelledby')
    || one.htmlFor).split(' ')).filter(id => id && !document.getElementById(id))"""
_TWICE = """() => { const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
  return ids.filter((id, place) => ids.indexOf(id) !== place) }"""


@pytest.fixture
def everywhere(admin: Page, console: Console) -> list[str]:
    """Addresses of all pages, one for each kind: numbers and names in them count as one."""
    admin.goto("/mailboxes/new/other")
    admin.get_by_label("Name", exact=True).fill("Reached")
    admin.get_by_label("Address", exact=True).fill("reached@contoso.example")
    admin.get_by_label("SMTP host").fill("smtp.contoso.example")
    admin.get_by_label("IMAP or POP3 host").fill("127.0.0.1")
    admin.get_by_role("button", name="Save and go on").click()
    found: dict[str, str] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        kind = re.sub(r"/(\d+|new/[\w-]+)(?=/|$)", "/*", path)
        if kind in found:
            continue
        found[kind] = path
        admin.goto(path)
        links = admin.eval_on_selector_all("a[href]", "all => all.map(one => one.href)")
        waiting += [urlsplit(link).path for link in links if link.startswith(console.address)]
    return list(found.values())


def test_every_page_is_sound(admin: Page, everywhere: list[str]) -> None:
    assert len(everywhere) > 14
    for path in [*everywhere, "/no-such-page"]:
        admin.goto(path)
        assert admin.locator("h1").count() == 1, path
        assert admin.get_by_role("main").count() == 1, path
        assert admin.evaluate(_NAMELESS) == [], path
        assert admin.evaluate(_DANGLING) == [], path
        assert admin.evaluate(_TWICE) == [], path
        assert admin.title().endswith("· Postroom"), path


def test_no_page_is_wider_than_its_window(admin: Page, everywhere: list[str]) -> None:
    for path in everywhere:
        admin.goto(path)
        for width in (360, 768, 1280):
            admin.set_viewport_size({"width": width, "height": 800})
            assert admin.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


def test_the_texts_stand_out_from_what_is_behind_them(admin: Page) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1, for the colours that texts are set in, in both themes."""
    pairs = [
        *((ink, paper) for ink in ("ink", "ink-soft", "ink-faint") for paper in ("paper", "surface", "sunken")),
        *((tone, f"{tone}-soft") for tone in ("good", "bad", "warn", "accent")),
        ("accent-ink", "accent"),
        ("accent", "surface"),
        ("bad", "surface"),
    ]
    for theme in ("light", "dark"):
        admin.emulate_media(color_scheme=theme)
        for ink, paper in pairs:
            assert _contrast(admin, ink, paper) >= 4.5, (theme, ink, paper)


def test_the_theme_follows_the_system_until_it_is_switched(admin: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    admin.emulate_media(color_scheme="light")
    light = admin.evaluate(background)
    admin.emulate_media(color_scheme="dark")
    dark = admin.evaluate(background)
    assert light != dark
    switch = admin.get_by_role("button", name="Theme")
    switch.click()
    assert admin.evaluate(background) == light
    admin.reload()
    assert admin.evaluate(background) == light
    expect(switch).to_have_accessible_name("Theme: light")
    switch.click()
    admin.emulate_media(color_scheme="light")
    admin.reload()
    assert admin.evaluate(background) == dark


def test_everything_goes_by_keyboard(page: Page) -> None:
    page.goto("/account/sign-in")
    page.keyboard.type("admin@contoso.example")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.goto("/mailboxes/providers/new")
    _tab_to(page, "Name")
    page.keyboard.type("By keyboard")
    _tab_to(page, "Save")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("By keyboard is saved")
    _tab_to(page, "Delete By keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("Enter")
    _tab_to(page, "Delete")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("is deleted")


def test_what_has_the_focus_shows_it(admin: Page) -> None:
    admin.goto("/mailboxes/providers/new")
    for _ in range(30):
        admin.keyboard.press("Tab")
        shown = "getComputedStyle(document.activeElement).outlineStyle"
        assert admin.evaluate(shown) != "none", admin.evaluate("document.activeElement.outerHTML")


def _tab_to(page: Page, name: str) -> None:
    """Presses Tab until the control of this name has the focus."""
    named = (
        "name => { const one = document.activeElement;"
        " return (one.labels?.[0]?.textContent || one.textContent).trim().replace(/\\s+/g, ' ') === name }"
    )
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(named, name):
            return
    pytest.fail(f"Tab never reaches {name!r}")


def _contrast(page: Page, ink: str, paper: str) -> float:
    """WCAG 2.2, "contrast ratio", of two of the stylesheet's colours."""
    lighter, darker = sorted((_luminance(page, ink), _luminance(page, paper)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(page: Page, name: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    value = page.evaluate("name => getComputedStyle(document.documentElement).getPropertyValue('--' + name)", name)
    shares = [int(value.strip()[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
