"""The verbs of credentials: add, generate, list, promote, remove, re-seal.

The secret part goes in and is opened only by `connect.py`, to be used. No verb here gives it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath

from django.db import transaction
from django.db.models import Max, QuerySet

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.clock import now
from postroom.core.encryption import CannotOpen, is_sealed_with_first, seal, unseal
from postroom.mailboxes.choices import CredentialKind
from postroom.mailboxes.health import CredentialState
from postroom.mailboxes.models import Application, Credential, Mailbox
from postroom.mailboxes.token_source import token_source
from postroom.mailboxes.values import Invalid, NotFound
from postroom.microsoft.certificates import CertificateWithKey, make_certificate, read_certificate
from postroom.microsoft.ids import is_guid
from postroom.microsoft.mixups import check_secret

Owner = Application | Mailbox
MOST = 2
"""Side by side: the one in use and its successor (or predecessor)."""


@dataclass(frozen=True, slots=True)
class CredentialView:
    """What may be shown of a credential."""

    id: int
    kind: str
    label: str
    """"Client secret"."""
    hint: str
    """"ends in a1b2", a thumbprint, a file name."""
    expires_at: datetime | None
    rank: int
    """The lowest is used first."""
    refused_with: str
    public_certificate: str
    created_at: datetime
    fault: str
    """Why it cannot be opened; empty when it can."""


def owner_of(mailbox: Mailbox) -> Owner:
    """What the mailbox's credentials prove: its application, or itself with a password. Raises `Invalid`."""
    if mailbox.sign_in_by == "none":
        raise Invalid(
            {"kind": ["this mailbox needs no sign-in, so it takes no credential; choose OAuth or password first"]}
        )
    return mailbox.application if mailbox.sign_in_by == "oauth" and mailbox.application else mailbox


def list_for(mailbox: Mailbox) -> list[CredentialView]:
    """The credentials that the mailbox uses, first the one in use."""
    return [_view(credential) for credential in rows_of(mailbox)]


def list_of(owner: Owner) -> list[CredentialView]:
    """The credentials of an application or a mailbox, first the one in use."""
    return [_view(credential) for credential in _stored(owner)]


def states_of(mailbox: Mailbox) -> list[CredentialState]:
    """The same, as `health` judges them."""
    return [CredentialState(view.label, view.expires_at, view.refused_with, view.fault) for view in list_for(mailbox)]


def rows_of(mailbox: Mailbox) -> Sequence[Credential]:
    if mailbox.sign_in_by == "none":
        return []
    owner: Owner | None = mailbox.application if mailbox.sign_in_by == "oauth" else mailbox
    return [] if owner is None else list(_stored(owner))


def add(owner: Owner, kind: str, value: str, expires_at: datetime | None, by: Actor) -> CredentialView:
    """Adds a client secret, a federated token file (its path), a managed identity (its client id, or "" for the
    system's own) or a password. A new password replaces the old one. Raises `Invalid`."""
    value = value if kind == CredentialKind.PASSWORD else value.strip()
    errors = _judge(owner, kind, value, expires_at)
    if errors:
        raise Invalid(errors)
    return _add(owner, Credential(kind=kind, hint=_hint(kind, value), expires_at=expires_at), value, by)


def upload_certificate(owner: Owner, content: bytes, password: str, by: Actor) -> CredentialView:
    """Adds a certificate with its private key, from a PEM or PFX file. Raises `Invalid`."""
    _must_be_application(owner)
    try:
        read = read_certificate(content, password)
    except ValueError as error:
        raise Invalid({"certificate": [str(error)]}) from None
    return _add_certificate(owner, read, by)


def generate_certificate(owner: Owner, by: Actor, *, days: int = 365) -> CredentialView:
    """Makes a key and a self-signed certificate here; its public part is to be uploaded to Azure. Raises `Invalid`."""
    _must_be_application(owner)
    if not 1 <= days <= 730:
        raise Invalid({"days": [f"{days} is out of range; choose 1 to 730 days (two years)"]})
    made = make_certificate(f"Postroom {owner}"[:64], days=days, now=now())
    return _add_certificate(owner, made, by)


@transaction.atomic
def promote(credential_id: int, by: Actor) -> None:
    """Makes it the one that is used first. Raises `NotFound`."""
    credential = _get(credential_id)
    owner = _owner(credential)
    for rank, one in enumerate(sorted(_stored(owner), key=lambda other: (other.pk != credential.pk, other.rank))):
        Credential.objects.filter(pk=one.pk).update(rank=rank)
    audit.record(by, "credential.promoted", str(owner), {"kind": credential.kind, "hint": credential.hint})
    forget_tokens(owner)


@transaction.atomic
def remove(credential_id: int, by: Actor) -> None:
    """Raises `NotFound`."""
    credential = _get(credential_id)
    owner = _owner(credential)
    credential.delete()
    audit.record(by, "credential.removed", str(owner), {"kind": credential.kind, "hint": credential.hint})
    _touch(owner)


@transaction.atomic
def drop_password(mailbox: Mailbox, why: str, by: Actor) -> bool:
    """Removes the mailbox's password, if there is one. True when there was."""
    dropped = list(mailbox.passwords.all())
    for credential in dropped:
        credential.delete()
        detail = {"kind": credential.kind, "hint": credential.hint, "why": why}
        audit.record(by, "credential.removed", str(mailbox), detail)
    return bool(dropped)


def open_secret(credential: Credential) -> str:
    """The secret part, for `connect.py` alone. Raises `CannotOpen`."""
    return unseal(bytes(credential.sealed), purpose(credential))


def purpose(credential: Credential) -> str:
    """What the sealed value is bound to: in the row of another owner or kind it does not open."""
    owner = "application" if credential.application_id else "mailbox"
    return f"credential:{owner}:{credential.application_id or credential.mailbox_id}:{credential.kind}"


@dataclass(frozen=True, slots=True)
class Rotation:
    """What `rotate_key` did."""

    resealed: int
    already: int
    """Were sealed with the first key before."""
    unreadable: int
    """Could not be opened with any key at hand, and were left as they are."""


@transaction.atomic
def rotate_key(by: Actor) -> Rotation:
    """Seals every credential with the first key. To be run after a new key was put in front; may be repeated."""
    resealed = already = unreadable = 0
    for credential in Credential.objects.select_for_update().order_by("pk"):
        if is_sealed_with_first(bytes(credential.sealed)):
            already += 1
            continue
        try:
            secret = open_secret(credential)
        except CannotOpen:
            unreadable += 1
            continue
        Credential.objects.filter(pk=credential.pk).update(sealed=seal(secret, purpose(credential)))
        resealed += 1
    counts = {"resealed": resealed, "already": already, "unreadable": unreadable}
    audit.record(by, "credential.key-rotated", "", counts)
    return Rotation(**counts)


def forget_tokens(owner: Owner) -> None:
    """The next token is asked for with what is stored now."""
    if isinstance(owner, Application):
        tenant, client_id = owner.tenant, str(owner.client_id)
        transaction.on_commit(lambda: token_source().forget(client_id, tenant))


def _judge(owner: Owner, kind: str, value: str, expires_at: datetime | None) -> dict[str, list[str]]:
    if kind not in CredentialKind.values or kind == CredentialKind.CERTIFICATE:
        return {
            "kind": [f"{kind!r} cannot be added like this; choose secret, federated-file, managed-identity or password"]
        }
    if (kind == CredentialKind.PASSWORD) != isinstance(owner, Mailbox):
        wanted = "a password" if isinstance(owner, Mailbox) else "a secret, certificate or identity of the application"
        return {"kind": [f"does not fit how this mailbox signs in; it wants {wanted}"]}
    if not value and kind != CredentialKind.MANAGED_IDENTITY:
        return {"value": ["is empty; paste it here"]}
    errors: dict[str, list[str]] = {}
    if kind == CredentialKind.SECRET:
        for mixup in check_secret(value, _ids(owner)):
            errors.setdefault("value", []).append(str(mixup))
    if kind == CredentialKind.MANAGED_IDENTITY and value and not is_guid(value):
        errors["value"] = [
            "is not a GUID; give the client id of the user-assigned identity, or nothing for the system's"
        ]
    if kind == CredentialKind.FEDERATED_FILE and not PurePath(value).is_absolute():
        errors["value"] = ["is not a whole path; write it from the root, such as /var/run/secrets/tokens/azure"]
    if expires_at is not None and expires_at <= now():
        errors["expires_at"] = ["is in the past; copy the date from 'Certificates & secrets', or make a new secret"]
    return errors


def _ids(owner: Owner) -> list[str]:
    if isinstance(owner, Mailbox):
        return []
    return [str(one) for one in (owner.client_id, owner.object_id, owner.service_principal_id) if one]


def _hint(kind: str, value: str) -> str:
    """What may be shown: little of a secret, and nothing of a short one or of a password."""
    if kind == CredentialKind.SECRET:
        return f"ends in {value[-4:]}" if len(value) >= 20 else "set"
    if kind == CredentialKind.FEDERATED_FILE:
        return PurePath(value).name[:120]
    if kind == CredentialKind.MANAGED_IDENTITY:
        return value or "system-assigned"
    return "set"


def _add_certificate(owner: Owner, read: CertificateWithKey, by: Actor) -> CredentialView:
    if read.not_after <= now():
        raise Invalid({"certificate": [f"expired on {read.not_after:%Y-%m-%d}; make or upload another one"]})
    row = Credential(
        kind=CredentialKind.CERTIFICATE,
        hint=f"thumbprint {read.sha1}"[:120],
        public_certificate=read.public_pem,
        expires_at=read.not_after.astimezone(UTC),
    )
    return _add(owner, row, read.pem_with_key, by)


@transaction.atomic
def _add(owner: Owner, credential: Credential, secret: str, by: Actor) -> CredentialView:
    stored = _stored(owner)
    if isinstance(owner, Mailbox):
        stored.delete()
        credential.mailbox = owner
    else:
        if stored.count() >= MOST:
            raise Invalid({"kind": ["there are two credentials already; remove the one that is not needed any more"]})
        credential.application = owner
    last = stored.aggregate(last=Max("rank"))["last"]
    credential.rank = 0 if last is None else last + 1
    credential.sealed = seal(secret, purpose(credential))
    credential.save()
    detail = {"kind": credential.kind, "hint": credential.hint, "expires_at": credential.expires_at}
    audit.record(by, "credential.added", str(owner), detail)
    _touch(owner)
    return _view(credential)


def _touch(owner: Owner) -> None:
    """The mailboxes concerned count as changed: what was proved before says nothing any more."""
    mailboxes = Mailbox.objects.filter(pk=owner.pk) if isinstance(owner, Mailbox) else owner.mailboxes.all()
    mailboxes.update(changed_at=now())
    forget_tokens(owner)


def _must_be_application(owner: Owner) -> None:
    if isinstance(owner, Mailbox):
        raise Invalid({"kind": ["a certificate proves an Azure application; this mailbox signs in with a password"]})


def _stored(owner: Owner) -> QuerySet[Credential]:
    return owner.credentials.all() if isinstance(owner, Application) else owner.passwords.all()


def _owner(credential: Credential) -> Owner:
    owner = credential.application or credential.mailbox
    assert owner is not None  # noqa: S101 - the table's constraint `credential_proves_one`
    return owner


def _get(credential_id: int) -> Credential:
    try:
        return Credential.objects.select_related("application", "mailbox").get(pk=credential_id)
    except Credential.DoesNotExist:
        raise NotFound(f"there is no credential {credential_id}", "see: postroom credential list MAILBOX") from None


def _view(credential: Credential) -> CredentialView:
    try:
        open_secret(credential)
        fault = ""
    except CannotOpen as error:
        fault = str(error)
    return CredentialView(
        id=credential.pk,
        kind=credential.kind,
        label=credential.get_kind_display(),
        hint=credential.hint,
        expires_at=credential.expires_at,
        rank=credential.rank,
        refused_with=credential.refused_with,
        public_certificate=credential.public_certificate,
        created_at=credential.created_at,
        fault=fault,
    )
