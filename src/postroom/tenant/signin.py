"""Signing an administrator in, and taking the sign-in up again: kept sealed, one for each tenant."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from postroom.accounts import audit
from postroom.accounts.audit import Actor
from postroom.core.encryption import CannotOpen, seal, unseal
from postroom.core.faults import Fault, Invalid
from postroom.core.settings import settings
from postroom.mailboxes.known_clouds import known_clouds
from postroom.microsoft.certificates import read_certificate
from postroom.microsoft.claims import AccessToken, Claims
from postroom.microsoft.clouds import Cloud
from postroom.microsoft.mixups import check_application, check_secret
from postroom.microsoft.tokens import ApplicationIdentity, Certificate, ClientSecret, CredentialSecret, TokenSource
from postroom.tenant.administrator import Administrator
from postroom.tenant.device import Code, Device, NotSignedIn
from postroom.tenant.models import SignIn

ShowCode = Callable[[Code, str], None]
"""Told what the administrator has to type where, and for which service."""
_SIGN_IN = "postroom tenant signin --cloud {cloud} --tenant {tenant}"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in."""

    name: str
    kind: str
    cloud: str
    tenant: str
    tenant_id: str


def by_device(cloud_name: str, tenant: str, show: ShowCode, by: Actor) -> SignedIn:
    """Waits while the administrator types codes on another device: one for the directory, and one for Exchange where
    the first does not serve it. Raises `Refused`, `Invalid`."""
    cloud = cloud_of(cloud_name)
    device = Device(cloud, tenant, settings().proxy)
    _signed_in(device, cloud.graph_resource, "the directory", show)
    _signed_in(device, cloud.exchange_resource, "Exchange", show)
    return keep_device(device, cloud, tenant, by)


def keep_device(device: Device, cloud: Cloud, tenant: str, by: Actor) -> SignedIn:
    """Keeps a device sign-in that is finished. Raises `Refused`."""
    claims = device.token(cloud.graph_resource).claims
    return _keep(cloud, tenant, "device", claims.user_name, device.state(), claims, by)


def by_application(
    cloud_name: str,
    tenant: str,
    client_id: str,
    by: Actor,
    *,
    secret: str = "",
    certificate: bytes = b"",
    password: str = "",
) -> SignedIn:
    """With the secret, or the certificate with its key (PEM or PFX), of an application that may administer.

    Raises `Refused`, `Invalid`.
    """
    cloud = cloud_of(cloud_name)
    faults = {mixup.field: [str(mixup)] for mixup in check_application(tenant, client_id)}
    if secret and (mixups := check_secret(secret, [client_id])):
        faults["secret"] = [str(mixup) for mixup in mixups]
    if not secret and not certificate:
        faults["secret"] = ["is missing; give the application's secret or certificate"]
    if faults:
        raise Invalid(faults)
    kept = {"client_id": client_id.strip().lower(), "secret": secret.strip(), "certificate": ""}
    if certificate:
        try:
            kept["certificate"] = read_certificate(certificate, password).pem_with_key
        except ValueError as error:
            raise Invalid({"certificate": [str(error)]}) from None
    token = TokenSource().get(_identity(cloud, tenant, kept), cloud.graph_resource)
    return _keep(cloud, tenant, "application", kept["client_id"], json.dumps(kept), token.claims, by)


def administrator(cloud_name: str, tenant: str) -> Administrator:
    """Who signed in to this tenant. Raises `Fault` when nobody did."""
    cloud = cloud_of(cloud_name)
    command = _SIGN_IN.format(cloud=cloud_name, tenant=tenant)
    row = SignIn.objects.filter(cloud=cloud_name, tenant=tenant.lower()).first()
    if row is None:
        raise Fault(f"no administrator is signed in to {tenant}", f"Run: {command}")
    try:
        opened = unseal(bytes(row.sealed), _purpose(row))
    except CannotOpen as error:
        raise Fault(f"the stored sign-in cannot be opened: {error}", f"Sign in again: {command}") from error
    if row.kind == "application":
        return Administrator(cloud, row.name, "", _asking_as_application(cloud, tenant, json.loads(opened)))
    device = Device(cloud, tenant, settings().proxy, opened)
    return Administrator(cloud, row.name, row.name, _asking_as_person(device, command))


def is_signed_in(cloud_name: str, tenant: str) -> bool:
    return SignIn.objects.filter(cloud=cloud_name, tenant=tenant.lower()).exists()


def sign_out(cloud_name: str, tenant: str, by: Actor) -> bool:
    """Forgets the sign-in; False when there was none."""
    row = SignIn.objects.filter(cloud=cloud_name, tenant=tenant.lower()).first()
    if row is None:
        return False
    # Kept under the tenant's id and under the name that was typed: both go.
    SignIn.objects.filter(cloud=cloud_name, kind=row.kind, name=row.name).delete()
    audit.record(by, "tenant.signed-out", tenant)
    return True


def cloud_of(name: str) -> Cloud:
    """Raises `Invalid`."""
    clouds = known_clouds()
    if name not in clouds:
        raise Invalid({"cloud": [f"{name!r} is not a cloud known here; choose one of: {', '.join(clouds)}"]})
    return clouds[name]


def _signed_in(device: Device, resource: str, service: str, show: ShowCode) -> None:
    try:
        device.token(resource)
    except NotSignedIn:
        code = device.begin(resource)
        show(code, service)
        device.finish(code)


def _keep(cloud: Cloud, tenant: str, kind: str, name: str, secret: str, claims: Claims, by: Actor) -> SignedIn:
    for called in {tenant.lower(), claims.tenant}:
        row = SignIn.objects.filter(cloud=cloud.name, tenant=called).first() or SignIn(cloud=cloud.name, tenant=called)
        row.kind, row.name = kind, name
        row.sealed = seal(secret, _purpose(row))
        row.save()
    audit.record(by, "tenant.signed-in", tenant, {"as": name, "kind": kind})
    return SignedIn(name, kind, cloud.name, tenant, claims.tenant)


def _purpose(row: SignIn) -> str:
    return f"tenant-sign-in:{row.key}"


def _identity(cloud: Cloud, tenant: str, kept: dict[str, str]) -> ApplicationIdentity:
    credential: CredentialSecret = (
        Certificate("administrator", kept["certificate"])
        if kept["certificate"]
        else ClientSecret("administrator", kept["secret"])
    )
    return ApplicationIdentity(cloud, tenant, kept["client_id"], (credential,), proxy=settings().proxy)


def _asking_as_application(cloud: Cloud, tenant: str, kept: dict[str, str]) -> Callable[[str], AccessToken]:
    source, identity = TokenSource(), _identity(cloud, tenant, kept)
    return lambda resource: source.get(identity, resource)


def _asking_as_person(device: Device, command: str) -> Callable[[str], AccessToken]:
    def ask(resource: str) -> AccessToken:
        try:
            return device.token(resource)
        except NotSignedIn:
            raise Fault("the administrator's sign-in has ended", f"Sign in again: {command}") from None

    return ask
