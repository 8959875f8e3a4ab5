"""Every request body and `$select` bears the names that Graph's types have (msgraph-metadata, v1.0, 2026-08-20)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from postroom.tenant.calls import GraphCall
from postroom.tenant.observe import _APPLICATION_FIELDS
from postroom.tenant.plan import plan
from postroom.tenant.wanted import CredentialKind, Restriction, SendBy, WantedCredential, WantedMailbox

from .states import BOX, EMPTY, NOW, WANTED, good, with_application, with_box, with_principal

DIRECTORY_OBJECT = {"id", "deletedDateTime"}
APPLICATION = DIRECTORY_OBJECT | {
    "appId", "displayName", "signInAudience", "tags", "requiredResourceAccess", "passwordCredentials",
    "keyCredentials", "notes", "identifierUris", "web", "api", "publicClient",
}  # fmt: skip
SERVICE_PRINCIPAL = DIRECTORY_OBJECT | {"appId", "accountEnabled", "appRoles", "displayName", "tags"}
USER = DIRECTORY_OBJECT | {"userPrincipalName", "assignedLicenses", "usageLocation", "accountEnabled", "displayName"}
BODIES: dict[tuple[str, str], Any] = {
    # method and path -> names of the body, with those of the objects inside
    ("POST", r"/applications"): APPLICATION | {"resourceAppId", "resourceAccess", "type"},
    ("PATCH", r"/applications/[^/]+"): APPLICATION | {"resourceAppId", "resourceAccess", "type"},
    ("POST", r"/applications/[^/]+/addPassword"): {"passwordCredential", "displayName", "endDateTime"},
    ("POST", r"/applications/[^/]+/removePassword"): {"keyId"},
    ("POST", r"/applications/[^/]+/federatedIdentityCredentials"): {"name", "issuer", "subject", "audiences"},
    ("POST", r"/servicePrincipals"): SERVICE_PRINCIPAL,
    ("PATCH", r"/servicePrincipals/[^/]+"): SERVICE_PRINCIPAL,
    ("POST", r"/servicePrincipals/[^/]+/appRoleAssignedTo"): {"principalId", "resourceId", "appRoleId"},
    ("DELETE", r"/servicePrincipals/[^/]+/appRoleAssignedTo/[^/]+"): set(),
    ("DELETE", r"/oauth2PermissionGrants/[^/]+"): set(),
    ("PATCH", r"/users/[^/]+"): USER,
    ("POST", r"/users/[^/]+/assignLicense"): {"addLicenses", "removeLicenses", "skuId", "disabledPlans"},
    ("GET", r"/applications/[^/]+\?\$select=keyCredentials"): set(),
}


def names(value: Any) -> set[str]:
    """All keys, at any depth."""
    if isinstance(value, dict):
        return set(value) | {name for one in value.values() for name in names(one)}
    return {name for one in value for name in names(one)} if isinstance(value, list | tuple) else set()


def calls() -> list[GraphCall]:
    """Those of plans that between them have every kind of step."""
    federated = WantedCredential(CredentialKind.FEDERATED, issuer="https://i", subject="s", token_file="/f")
    everything = replace(WANTED, send=tuple(SendBy), restrict_graph=Restriction.NONE)
    certificate = replace(WANTED, credential=WantedCredential(CredentialKind.CERTIFICATE))
    user = replace(WANTED, mailboxes=(WantedMailbox(BOX),), country="DE")
    lost = with_application(with_principal(good(), enabled=False), asked=())
    unlicensed = with_box(good(user), shared=False)
    located = replace(unlicensed, users={BOX: replace(unlicensed.users[BOX], country="")})
    plans = [
        plan(everything, EMPTY, NOW),
        plan(certificate, EMPTY, NOW),
        plan(replace(WANTED, credential=federated), EMPTY, NOW),
        plan(WANTED, lost, NOW),
        plan(replace(WANTED, send=(), read=()), good(), NOW),
        plan(user, located, NOW),
    ]
    return [call for one in plans for step in one.steps for call in step.calls if isinstance(call, GraphCall)]


def known_as(call: GraphCall) -> tuple[str, str]:
    found = [key for key in BODIES if key[0] == call.method and re.fullmatch(key[1], call.path)]
    assert len(found) == 1, call
    return found[0]


@pytest.mark.parametrize("call", calls(), ids=lambda call: f"{call.method} {call.path}")
def test_bodies(call: GraphCall) -> None:
    assert names(call.body or {}) <= BODIES[known_as(call)]


def test_selected_names() -> None:
    assert set(_APPLICATION_FIELDS.split(",")) <= APPLICATION
