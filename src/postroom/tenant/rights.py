"""Which rights a plan needs, and which of them an administrator lacks. Pure.

A person's rights come from directory roles, an application's from app roles; Exchange wants both of an application
(facts 4.4: 401 with neither, 403 with the app role alone). Sources: Microsoft Graph permissions of each method
(facts 3), "Microsoft Entra built-in roles", facts 4.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
_ROLES = {
    GLOBAL_ADMINISTRATOR: "Global Administrator",
    "e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
    "29232cdf-9323-42fd-ade2-1d097af3e4de": "Exchange Administrator",
    "4d6ac14f-3453-41d0-bef9-a3e0c569773a": "License Administrator",
    "fe930be7-5e62-47db-91af-98c3a49a38b1": "User Administrator",
    "f2ef992c-3afb-46b9-b7cf-a126ee74c451": "Global Reader",
    "88d8e3e3-8f55-4a1e-953a-9b9898b8876b": "Directory Readers",
}
"""Template ids of directory roles (Microsoft, "Microsoft Entra built-in roles")."""


class Right(StrEnum):
    """What a step may need to be allowed to do."""

    READ_DIRECTORY = "read-directory"
    WRITE_APPLICATIONS = "write-applications"
    GRANT_EXCHANGE_ROLES = "grant-exchange-roles"
    GRANT_GRAPH_ROLES = "grant-graph-roles"
    REVOKE_DELEGATED = "revoke-delegated"
    ASSIGN_LICENCES = "assign-licences"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class _Rule:
    """Any one of `roles` suffices for a person, any one of `permissions` for an application."""

    purpose: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]


_APPLICATION_ADMINISTRATORS = ("Global Administrator", "Application Administrator", "Cloud Application Administrator")
_RULES = {
    Right.READ_DIRECTORY: _Rule(
        "read the directory",
        (*_APPLICATION_ADMINISTRATORS, "Privileged Role Administrator", "Exchange Administrator", "Global Reader"),
        ("Directory.Read.All", "Directory.ReadWrite.All"),
    ),
    Right.WRITE_APPLICATIONS: _Rule(
        "make and change applications",
        _APPLICATION_ADMINISTRATORS,
        ("Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"),
    ),
    Right.GRANT_EXCHANGE_ROLES: _Rule(
        "grant admin consent for Exchange",
        (*_APPLICATION_ADMINISTRATORS, "Privileged Role Administrator"),
        ("AppRoleAssignment.ReadWrite.All",),
    ),
    # Application administrators may consent to anything but Microsoft Graph's app roles.
    Right.GRANT_GRAPH_ROLES: _Rule(
        "grant admin consent for Microsoft Graph",
        ("Global Administrator", "Privileged Role Administrator"),
        ("AppRoleAssignment.ReadWrite.All",),
    ),
    Right.REVOKE_DELEGATED: _Rule(
        "take delegated permissions away",
        (*_APPLICATION_ADMINISTRATORS, "Privileged Role Administrator"),
        ("DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"),
    ),
    Right.ASSIGN_LICENCES: _Rule(
        "assign licences",
        ("Global Administrator", "License Administrator", "User Administrator"),
        ("LicenseAssignment.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"),
    ),
    Right.EXCHANGE: _Rule(
        "administer Exchange",
        ("Global Administrator", "Exchange Administrator"),
        ("Exchange.ManageAsApp",),
    ),
}


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an administrator holds, read from the tokens."""

    name: str
    """User principal name, or the application's client id."""
    is_person: bool
    directory_roles: frozenset[str] = frozenset()
    """Template ids (`wids`)."""
    permissions: frozenset[str] = field(default_factory=frozenset)
    """App roles of both resources (`roles`)."""
    roles_known: bool = True
    """False when no source told the directory roles: then nothing that hangs on them is called lacking."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A right that is missing, and what would give it."""

    right: Right
    sentence: str


def lacking(needed: Iterable[Right], holds: Holdings) -> tuple[Lack, ...]:
    """The rights among `needed` that the administrator does not have, in the order of `Right`."""
    wanted = set(needed)
    return tuple(lack for right in Right if right in wanted and (lack := _lack(right, holds)))


def _lack(right: Right, holds: Holdings) -> Lack | None:
    rule = _RULES[right]
    roles = {_ROLES.get(one, one) for one in holds.directory_roles}
    has_role = bool(roles & set(rule.roles)) or not holds.roles_known
    if holds.is_person:
        if has_role:
            return None
        return Lack(
            right, f"{holds.name} may not {rule.purpose}; one of these roles is needed: {', '.join(rule.roles)}"
        )
    missing = []
    if not holds.permissions & set(rule.permissions):
        missing.append(f"the application permission {rule.permissions[0]}")
    if right is Right.EXCHANGE and not has_role:
        missing.append(f"the directory role {rule.roles[-1]}")
    if not missing:
        return None
    return Lack(right, f"application {holds.name} may not {rule.purpose}; it needs {' and '.join(missing)}")
