"""The plan's credential part: make, upload, and clear away what is over. Pure. Calls: facts 3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from postroom.tenant.calls import APPLICATION_ID, GraphCall
from postroom.tenant.observed import ApplicationSeen, Held, Observed
from postroom.tenant.rights import Right
from postroom.tenant.steps import Finding, Step, Weight
from postroom.tenant.wanted import CredentialKind, Wanted

SOON = timedelta(days=30)
"""A credential that ends within this time is shown as drift."""
GRACE = timedelta(hours=24)
"""How long a replaced credential stays: tokens live up to 90 minutes (facts 1.4), other programs start daily."""
_APPLICATION = f"/applications/{APPLICATION_ID}"
_CERTIFICATE_CALLS = (
    # The PATCH replaces the whole list, so that it is read first and all that was there is sent again (facts 3).
    GraphCall("GET", f"{_APPLICATION}?$select=keyCredentials"),
    GraphCall("PATCH", _APPLICATION, {"keyCredentials": "{key_credentials}"}),
)


def plan(wanted: Wanted, observed: Observed, now: datetime) -> Iterator[Step | Finding]:
    """Steps and findings about what proves the application."""
    by_kind = {
        CredentialKind.SECRET: _secret,
        CredentialKind.CERTIFICATE: _certificate,
        CredentialKind.FEDERATED: _federated,
    }
    yield from by_kind[wanted.credential.kind](wanted, observed, now)
    if observed.application:
        yield from _over(observed, observed.application, now)


def is_current(held: Held, now: datetime) -> bool:
    """True for a credential that can be read, has not expired, and has no newer one in its place."""
    return held.readable and held.replaced_at is None and (held.expires_at is None or held.expires_at > now)


def _secret(wanted: Wanted, observed: Observed, now: datetime) -> Iterator[Step | Finding]:
    application = observed.application
    valid = {one.key_id for one in application.secrets if one.ends_at > now} if application else set()
    held = [one for one in observed.held if one.kind == "secret" and one.replaced_at is None]
    # Of a secret that was typed in nobody knows which one of Entra's it is: its last use tells.
    good = [
        one for one in held if is_current(one, now) and (one.remote_id in valid if one.remote_id else not one.refused)
    ]
    if good:
        yield from _expiring(good, now)
        return
    yield replace(secret_step(wanted), findings=(_secret_fault(held, now),))


def secret_step(wanted: Wanted) -> Step:
    """Makes a client secret."""
    body = {"passwordCredential": {"displayName": "Postroom {mark}", "endDateTime": "{credential_end}"}}
    return Step(
        key="credential:secret",
        title=f"Make a client secret that is valid for {wanted.credential.days} days",
        why="It proves the application to Entra. It goes straight into the encrypted store, and is shown to nobody.",
        calls=(GraphCall("POST", f"{_APPLICATION}/addPassword", body),),
        needs=(Right.WRITE_APPLICATIONS,),
        depends_on=("application",),
    )


def _secret_fault(held: list[Held], now: datetime) -> Finding:
    fix = "App registration > Certificates & secrets > New client secret; give its value to Postroom."
    if not held:
        return Finding("secret-missing", "", "Postroom holds no secret of the application", fix)
    newest = max(held, key=lambda one: (one.expires_at is not None, one.expires_at))
    about = newest.remote_id or "secret"
    if newest.expires_at is not None and newest.expires_at <= now:
        return Finding("secret-expired", about, f"the client secret expired on {newest.expires_at:%Y-%m-%d}", fix)
    if not newest.readable:
        return Finding("secret-unreadable", about, "the stored secret cannot be opened with the keys at hand", fix)
    if newest.refused and not newest.remote_id:
        return Finding("secret-refused", about, "Entra refused the client secret when it was last used", fix)
    return Finding("secret-expired", about, "the client secret has expired at Entra, or was removed there", fix)


def _certificate(wanted: Wanted, observed: Observed, now: datetime) -> Iterator[Step | Finding]:
    application = observed.application
    uploaded = {one.thumbprint for one in application.certificates} if application else set()
    held = [one for one in observed.held if one.kind == "certificate"]
    current = [one for one in held if is_current(one, now)]
    if good := [one for one in current if one.remote_id in uploaded]:
        yield from _expiring(good, now)
    elif current:
        yield _upload(current[0])
    else:
        expired = any(one.expires_at is not None and one.expires_at <= now for one in held)
        word = "expired" if expired else "missing"
        fault = "the certificate has expired" if expired else "Postroom holds no certificate of the application"
        finding = Finding(f"certificate-{word}", "", fault, "Make a certificate and upload its public part.")
        yield replace(certificate_step(wanted), findings=(finding,))


def certificate_step(wanted: Wanted) -> Step:
    """Makes a certificate and uploads its public part."""
    return Step(
        key="credential:certificate",
        title=f"Make a certificate that is valid for {wanted.credential.days} days, and upload its public part",
        why="It proves the application to Entra. Its key is made here, stored encrypted, and never leaves.",
        calls=_CERTIFICATE_CALLS,
        needs=(Right.WRITE_APPLICATIONS,),
        depends_on=("application",),
    )


def _upload(held: Held) -> Step:
    return Step(
        key=f"credential:upload:{held.remote_id}",
        title=f"Upload the certificate {held.remote_id}",
        why="Entra takes an assertion only if it knows the certificate that signed it (AADSTS700027).",
        calls=_CERTIFICATE_CALLS,
        needs=(Right.WRITE_APPLICATIONS,),
        depends_on=("application",),
        findings=(
            Finding(
                "certificate-not-uploaded",
                held.remote_id,
                "the application does not have the certificate that Postroom signs with",
                "App registration > Certificates & secrets > Certificates > Upload its public part.",
            ),
        ),
    )


def _federated(wanted: Wanted, observed: Observed, now: datetime) -> Iterator[Step | Finding]:
    del now  # a federated credential does not end
    credential = wanted.credential
    trusted = observed.application.federated if observed.application else ()
    is_trusted = any(one.issuer == credential.issuer and one.subject == credential.subject for one in trusted)
    is_held = any(one.kind == "federated-file" for one in observed.held)
    if is_trusted and is_held:
        return
    body = {
        "name": "postroom-{mark}",
        "issuer": credential.issuer,
        "subject": credential.subject,
        "audiences": ["{federation_audience}"],
    }
    yield Step(
        key="credential:federated",
        title=f"Trust tokens of {credential.issuer} for {credential.subject}",
        why="The other issuer's token then proves the application; no secret is kept anywhere.",
        calls=() if is_trusted else (GraphCall("POST", f"{_APPLICATION}/federatedIdentityCredentials", body),),
        needs=(Right.WRITE_APPLICATIONS,),
        depends_on=("application",),
        findings=(
            Finding(
                "federation-missing",
                credential.subject,
                "the application and Postroom do not yet agree on the other issuer's tokens",
                "App registration > Certificates & secrets > Federated credentials > Add.",
            ),
        ),
    )


def _expiring(good: list[Held], now: datetime) -> Iterator[Finding]:
    """A warning when even the one that lives longest ends soon."""
    if any(one.expires_at is None for one in good):
        return
    last = max(good, key=lambda one: one.expires_at or now)
    if last.expires_at and last.expires_at - now <= SOON:
        days = (last.expires_at - now).days
        yield Finding(
            "credential-expiring",
            last.remote_id or last.kind,
            f"the {last.kind} ends in {days} days, on {last.expires_at:%Y-%m-%d}",
            "Run: postroom tenant rotate",
            Weight.WARNING,
        )


def _over(observed: Observed, application: ApplicationSeen, now: datetime) -> Iterator[Step]:
    """Secrets that this set-up made, and that are over: expired, or replaced longer ago than the grace time."""
    at_entra = {one.key_id: one.ends_at for one in application.secrets}
    for held in observed.held:
        if held.kind != "secret" or not held.made_here or held.remote_id not in at_entra:
            continue
        replaced = held.replaced_at is not None and held.replaced_at + GRACE <= now
        if not replaced and at_entra[held.remote_id] > now:
            continue
        fault = "a replaced secret is past its grace time" if replaced else "an expired secret still lies about"
        yield Step(
            key=f"credential-remove:{held.remote_id}",
            title=f"Remove the old client secret {held.remote_id}",
            why="What is over should not be kept: not at Entra, and not here.",
            calls=(GraphCall("POST", f"{_APPLICATION}/removePassword", {"keyId": held.remote_id}),),
            needs=(Right.WRITE_APPLICATIONS,),
            depends_on=("credential:",),
            findings=(Finding("secret-left-over", held.remote_id, fault, "Remove it in the App registration."),),
        )
