"""Credentials: written, shown in part, replaced without a stop, re-sealed; never given back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postroom.accounts.audit import Actor
from postroom.accounts.models import AuditEvent
from postroom.core import encryption
from postroom.core.encryption import CannotOpen
from postroom.core.faults import Fault, Invalid, NotFound
from postroom.core.keys import Keys
from postroom.mailboxes import connect, credentials, service
from postroom.mailboxes.models import Credential, Mailbox
from postroom.mailboxes.token_source import token_source
from postroom.microsoft.certificates import make_certificate
from postroom.microsoft.tokens import Certificate, ClientSecret, FederatedFile, ManagedIdentity

OLD, NEW = b"o" * 32, b"n" * 32
SECOND = "Zz9~another.Secret-value_0123456789abcdEFGH"


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The keys at hand, newest first."""
    held = [OLD]
    monkeypatch.setattr(encryption, "keys", lambda: Keys(tuple(held)))
    return held


def application(mailbox: Mailbox) -> credentials.Owner:
    return credentials.owner_of(mailbox)


def test_a_secret_shows_its_end_only(office: Mailbox) -> None:
    (view,) = credentials.list_for(office)
    assert (view.kind, view.hint, view.fault) == ("secret", "ends in WXYZ", "")
    assert "planted" not in repr(view)
    assert b"planted" not in bytes(Credential.objects.get().sealed)


def test_short_secrets_and_passwords_show_nothing(make: Callable[..., Mailbox], office: Mailbox, by: Actor) -> None:
    assert credentials.add(application(office), "secret", "short~1", None, by).hint == "set"
    assert credentials.add(make(), "password", "correct horse battery staple", None, by).hint == "set"


def test_two_side_by_side_in_order_and_a_third_is_refused(office: Mailbox, by: Actor) -> None:
    second = credentials.add(application(office), "secret", SECOND, None, by)
    identity = connect.ready(office).identity
    assert identity is not None
    assert [one.value for one in identity.credentials if isinstance(one, ClientSecret)][1] == SECOND
    with pytest.raises(Invalid, match="two credentials already"):
        credentials.add(application(office), "secret", SECOND, None, by)
    credentials.promote(second.id, by)
    assert credentials.list_for(office)[0].id == second.id


def test_removing_the_first_leaves_the_second_in_use(office: Mailbox, by: Actor) -> None:
    first = credentials.list_for(office)[0]
    credentials.add(application(office), "secret", SECOND, None, by)
    credentials.remove(first.id, by)
    assert [view.hint for view in credentials.list_for(office)] == ["ends in EFGH"]
    with pytest.raises(NotFound):
        credentials.remove(first.id, by)


def test_a_new_password_replaces_the_old_one(make: Callable[..., Mailbox], by: Actor) -> None:
    mailbox = make()
    for password in ("first one", " second with blanks "):
        credentials.add(mailbox, "password", password, None, by)
    assert connect.ready(mailbox).password == " second with blanks "
    assert len(credentials.list_for(mailbox)) == 1


@pytest.mark.parametrize(
    ("kind", "value", "expires", "field", "words"),
    [
        ("secret", "5e1ec7ed-aaaa-4bbb-8ccc-ddddeeeeffff", None, "value", "Value"),
        ("secret", "  ", None, "value", "empty"),
        ("secret", "Qx8~pl anted.Secret", None, "value", "blank"),
        ("secret", SECOND, datetime(2020, 1, 1, tzinfo=UTC), "expires_at", "in the past"),
        ("password", "letmein", None, "kind", "it wants a secret"),
        ("certificate", "pem", None, "kind", "cannot be added like this"),
        ("magic", "x", None, "kind", "choose"),
        ("managed-identity", "not-a-guid", None, "value", "GUID"),
        ("federated-file", "token.jwt", None, "value", "whole path"),
    ],
)
def test_what_is_wrong_is_named_without_the_value(
    office: Mailbox, by: Actor, kind: str, value: str, expires: datetime | None, field: str, words: str
) -> None:
    with pytest.raises(Invalid) as caught:
        credentials.add(application(office), kind, value, expires, by)
    assert words in caught.value.errors[field][0]
    if kind == "secret" and value.strip():
        assert value not in str(caught.value)


def test_identities_are_made_into_what_tokens_are_asked_with(office: Mailbox, by: Actor) -> None:
    credentials.remove(credentials.list_for(office)[0].id, by)
    credentials.add(application(office), "federated-file", "/var/run/token", None, by)
    credentials.add(application(office), "managed-identity", "", None, by)
    identity = connect.ready(office).identity
    assert identity is not None
    first, second = identity.credentials
    assert isinstance(first, FederatedFile)
    assert first.path == "/var/run/token"
    assert isinstance(second, ManagedIdentity)
    assert second.client_id is None


def test_a_generated_certificate_gives_its_public_part_only(office: Mailbox, by: Actor) -> None:
    view = credentials.generate_certificate(application(office), by, days=90)
    assert "BEGIN CERTIFICATE" in view.public_certificate
    assert "PRIVATE" not in view.public_certificate
    assert view.expires_at is not None
    assert timedelta(days=89) < view.expires_at - datetime.now(UTC) <= timedelta(days=90)
    identity = connect.ready(office).identity
    assert identity is not None
    assert isinstance(identity.credentials[1], Certificate)
    assert "PRIVATE KEY" in identity.credentials[1].pem_with_key


def test_an_uploaded_certificate_must_be_one_and_still_good(office: Mailbox, by: Actor) -> None:
    with pytest.raises(Invalid):
        credentials.upload_certificate(application(office), b"not a certificate", "", by)
    old = make_certificate("gone", days=1, now=datetime.now(UTC) - timedelta(days=9))
    with pytest.raises(Invalid, match="expired"):
        credentials.upload_certificate(application(office), old.pem_with_key.encode(), "", by)
    good = make_certificate("here", days=9, now=datetime.now(UTC))
    view = credentials.upload_certificate(application(office), good.pem_with_key.encode(), "", by)
    assert good.sha1 in view.hint


def test_a_certificate_does_not_fit_a_password_mailbox(make: Callable[..., Mailbox], by: Actor) -> None:
    with pytest.raises(Invalid, match="signs in with a password"):
        credentials.generate_certificate(make(), by)


def test_a_sealed_value_opens_in_no_other_row(office: Mailbox, by: Actor, office_data: Any) -> None:
    other = service.save(
        service.MailboxData(
            name="Other",
            address="o@contoso.com",
            tenant=office_data.tenant,
            client_id="c0ffee00-9999-4222-8333-444455556666",
        ),
        by,
    )
    credentials.add(application(other), "secret", SECOND, None, by)
    stolen = Credential.objects.get(application=office.application).sealed
    Credential.objects.filter(application=other.application).update(sealed=stolen)
    with pytest.raises(CannotOpen):
        credentials.open_secret(Credential.objects.get(application=other.application))


def test_one_that_does_not_open_is_passed_over_while_another_does(office: Mailbox, by: Actor) -> None:
    credentials.add(application(office), "secret", SECOND, None, by)
    first = Credential.objects.order_by("rank").first()
    assert first is not None
    Credential.objects.filter(pk=first.pk).update(sealed=b"\x01" + b"?" * 60)
    identity = connect.ready(office).identity
    assert identity is not None
    assert [one.id for one in identity.credentials] == [str(first.pk + 1)]
    Credential.objects.update(sealed=b"\x01" + b"?" * 60)
    with pytest.raises(Fault, match="cannot read the credential"):
        connect.ready(office)


def test_rotating_the_key_reseals_once_and_counts(ring: list[bytes], office: Mailbox, by: Actor) -> None:
    ring.insert(0, NEW)
    assert credentials.rotate_key(by) == credentials.Rotation(resealed=1, already=0, unreadable=0)
    assert credentials.rotate_key(by) == credentials.Rotation(resealed=0, already=1, unreadable=0)
    ring.remove(OLD)
    assert credentials.list_for(office)[0].fault == ""
    assert AuditEvent.objects.latest("id").action == "credential.key-rotated"


def test_what_no_key_opens_is_counted_and_left_as_it_is(ring: list[bytes], office: Mailbox, by: Actor) -> None:
    before = bytes(Credential.objects.get().sealed)
    ring[:] = [NEW]
    assert credentials.rotate_key(by).unreadable == 1
    assert bytes(Credential.objects.get().sealed) == before


def test_a_change_makes_the_mailboxes_unproved_and_forgets_tokens(
    office: Mailbox, by: Actor, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    forgotten: list[tuple[str, str]] = []
    monkeypatch.setattr(token_source(), "forget", lambda client, tenant="": forgotten.append((client, tenant)))
    before = service.get(office.pk).changed_at
    with django_capture_on_commit_callbacks(execute=True):
        credentials.add(application(office), "secret", SECOND, None, by)
    assert service.get(office.pk).changed_at > before
    assert office.application is not None
    assert forgotten == [(str(office.application.client_id), office.application.tenant)]


def test_what_entra_refused_is_kept_beside_the_credential_until_it_works(office: Mailbox) -> None:
    (view,) = credentials.list_for(office)
    source = token_source()
    assert source._on_refused is not None
    assert source._on_used is not None
    source._on_refused(str(view.id), "AADSTS7000222")
    assert credentials.list_for(office)[0].refused_with == "AADSTS7000222"
    source._on_used(str(view.id))
    assert credentials.list_for(office)[0].refused_with == ""
