"""Who gets in, and how: password, lock-out, one-time link, roles."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from .conftest import PASSWORD, Console, sign_in


def test_a_person_signs_in_and_out(page: Page) -> None:
    sign_in(page, "Admin@Contoso.example")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto("/mailboxes/")
    expect(page).to_have_url(re.compile(r"/account/sign-in\?next=/mailboxes/"))


def test_a_wrong_password_is_refused_without_saying_which_was_wrong(page: Page) -> None:
    sign_in(page, "admin@contoso.example", "not the password")
    known = page.get_by_role("alert").inner_text()
    sign_in(page, "nobody@contoso.example", "not the password")
    assert page.get_by_role("alert").inner_text() == known
    assert "wrong" in known


def test_after_ten_wrong_passwords_there_is_a_pause(page: Page, console: Console) -> None:
    console.add("locked@contoso.example", "reader")
    for _ in range(10):
        sign_in(page, "locked@contoso.example", "not the password")
    expect(page.get_by_role("heading", level=1)).to_have_text("Too many wrong passwords")
    sign_in(page, "LOCKED@contoso.example", PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("Too many wrong passwords")
    # Somebody else signs in from the same address all the same.
    sign_in(page, "admin@contoso.example")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_after_signing_in_one_is_where_one_wanted_to_be_but_never_elsewhere(page: Page) -> None:
    page.goto("/mailboxes/providers/")
    page.get_by_label("E-mail").fill("admin@contoso.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Providers")
    page.goto("/account/sign-in?next=https://elsewhere.example/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_a_link_works_once_and_looking_at_it_does_not_use_it_up(page: Page, console: Console) -> None:
    link = console.link("reader@contoso.example")
    for _ in range(2):
        page.goto(link)
        expect(page.get_by_label("Sign-in code")).not_to_have_value("")
        page.goto("about:blank")
    page.goto(link)
    assert "#" not in page.url  # the token does not stay in the address bar or the history
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.context.clear_cookies()
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("was used already")).to_be_visible()


def test_a_reader_is_told_which_role_is_needed(page: Page) -> None:
    sign_in(page, "reader@contoso.example")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    answer = page.goto("/mailboxes/new")
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_role("main")).to_contain_text("Administrator or Mailbox administrator")
    page.goto("/mailboxes/")
    expect(page.get_by_role("link", name="Add a mailbox")).to_have_count(0)
    expect(page.get_by_role("link", name="People")).to_have_count(0)


def test_whoever_is_shut_out_is_out_at_once(page: Page, console: Console) -> None:
    console.add("leaver@contoso.example", "reader")
    sign_in(page, "leaver@contoso.example")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    console.run("person", "deactivate", "leaver@contoso.example")
    page.goto("/mailboxes/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_an_administrator_adds_somebody_and_hands_a_link_over(admin: Page) -> None:
    admin.get_by_role("link", name="People").click()
    admin.get_by_label("E-mail").fill("operator@contoso.example")
    admin.get_by_label("Operator:").check()
    admin.get_by_role("button", name="Add and make a link").click()
    link = admin.locator("#link").inner_text()
    admin.context.clear_cookies()
    admin.goto(link)
    admin.get_by_role("button", name="Sign in").click()
    admin.get_by_role("link", name="operator@contoso.example").click()
    expect(admin.get_by_role("heading", level=1)).to_have_text("Set your password")
    admin.get_by_label("New password").fill("operator@contoso.example")
    admin.get_by_role("button", name="Save the password").click()
    expect(admin.get_by_text("too similar")).to_be_visible()
    admin.get_by_label("New password").fill(PASSWORD)
    admin.get_by_role("button", name="Save the password").click()
    expect(admin.get_by_role("status")).to_contain_text("Your password is changed")
