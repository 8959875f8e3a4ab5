"""An existing gateway's properties become a mailbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.accounts.audit import Actor
from postroom.core.faults import Invalid
from postroom.mailboxes import connect, importing, service
from postroom.mailboxes.properties import parse_properties, without_passwords

GATEWAY = """\
# The SMTP gateway, as it was
mail.host = smtp.example.org
mail.port: 587
mail.username=mailer@example.org
mail.password=p\\u00e4ss\\=w0rd
mail.smtp.auth=true
mail.smtp.starttls.enable=true
mail.defaultSender=noreply@example.org
mail.defaultSubjectPrefix=[Dev server]
mail.optionalBccAddress=archive@example.org,\\
    audit@example.org
mail.imap.host=imap.example.org
mail.imap.port=993
mail.imap.ssl.enable=true
mail.imap.folder=Approvals
mail.smtp.socketFactory.class=javax.net.ssl.SSLSocketFactory
mail.smtp.socketFactory.fallback=true
mail.smtp.socketFactory.port=587
mail.smtp.quitwait=false
"""


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a=b", "a", "b"),
        ("a : b", "a", "b"),
        ("a b c", "a", "b c"),
        ("a\\ b=c", "a b", "c"),
        ("a\\=b=c", "a=b", "c"),
        ("a=one,\\\n   two", "a", "one,two"),
        ("a=C:\\\\mail\\\\", "a", "C:\\mail\\"),
        ("a=\\u00fc\\t", "a", "\u00fc\t"),
        ("a=1\r\na=2", "a", "2"),
        ("! note\n#a=0\na=1", "a", "1"),
        ("a", "a", ""),
    ],
)
def test_properties_syntax(text: str, key: str, value: str) -> None:
    assert parse_properties(text) == {key: value}


@given(st.dictionaries(st.from_regex(r"[a-z.]{1,12}", fullmatch=True), st.from_regex(r"[!-~]{0,20}", fullmatch=True)))
def test_what_is_written_by_the_rules_is_read_back(values: dict[str, str]) -> None:
    lines = [f"{key}={value.replace(chr(92), chr(92) * 2)}" for key, value in values.items()]
    assert parse_properties("\n".join(lines)) == values


@given(st.text())
def test_any_text_is_read_without_an_exception(text: str) -> None:
    parse_properties(text)


@pytest.mark.django_db
def test_every_key_of_the_old_gateway_arrives(by: Actor) -> None:
    imported = importing.from_properties(GATEWAY, by, "Gateway")
    data = service.data_of(imported.mailbox)
    assert (data.provider, data.name, data.address) == ("migrated", "Gateway", "mailer@example.org")
    assert (data.smtp_host, data.smtp_port, data.smtp_security) == ("smtp.example.org", 587, "starttls")
    assert (data.default_sender, data.subject_prefix) == ("noreply@example.org", "[Dev server]")
    assert data.copies_to == ("archive@example.org", "audit@example.org")
    assert (data.incoming_host, data.incoming_port, data.incoming_security) == ("imap.example.org", 993, "tls")
    assert (data.folder, data.read_inbox, data.sign_in_by) == ("Approvals", True, "password")
    assert connect.ready(service.get(imported.mailbox.pk)).password == "p\u00e4ss=w0rd"


@pytest.mark.django_db
def test_each_key_is_told_of_and_no_password_is(by: Actor) -> None:
    imported = importing.from_properties(GATEWAY, by)
    uses = {note.key: note.use for note in imported.keys}
    assert uses["mail.host"] == "used"
    assert {uses[key] for key in uses if "socketFactory" in key} == {"no effect"}
    assert uses["mail.smtp.quitwait"] == "unknown"
    assert "w0rd" not in repr(imported)


@pytest.mark.django_db
def test_tls_switched_off_is_switched_on_where_a_password_would_go_over_it(by: Actor) -> None:
    imported = importing.from_properties(GATEWAY.replace("starttls.enable=true", "starttls.enable=false"), by)
    assert imported.mailbox.smtp_security == "starttls"
    assert any("starttls" in note for note in imported.notes)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mail.port=25", "mail.host is missing"),
        ("mail.host=smtp.example.org", "mail.defaultSender"),
        ("mail.host=h.example.org\nmail.defaultSender=a@b.org\nmail.port=abc", "mail.port is not a number"),
        ("mail.host=h.example.org\nmail.defaultSender=a@b.org\nmail.smtp.auth=maybe", "true nor false"),
        ("mail.host=ht tp\nmail.defaultSender=a@b.org", "mail.host: "),
    ],
)
def test_what_cannot_be_imported_is_named_by_its_key(by: Actor, text: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        importing.from_properties(text, by)
    assert words in " ".join(caught.value.errors["text"])
    assert service.list_mailboxes() == []


@pytest.mark.django_db
def test_imported_twice_is_two_mailboxes(by: Actor) -> None:
    first, second = importing.from_properties(GATEWAY, by), importing.from_properties(GATEWAY, by)
    assert first.mailbox.name != second.mailbox.name


def test_properties_are_shown_again_without_passwords() -> None:
    text = "#mail.password=old\nmail.host=h\nmail.password=one\\\n  two\nMAIL.SMTP.PASSWORD : three\nmail.port=many"
    assert without_passwords(text) == "mail.host=h\nmail.password=\nMAIL.SMTP.PASSWORD=\nmail.port=many"
