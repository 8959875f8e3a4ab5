"""Who may do what in the directory: by an application permission, or by the directory role of who signed in.

A person needs both: a delegated permission in the token and a directory role ([D] Graph permissions reference).
An application with a directory role needs no permission for what that role may ([D] same).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from m365lab.contoso import GLOBAL_ADMINISTRATOR
from m365lab.graph.desk import Call
from m365lab.graph.errors import GraphError

APPLICATION_ADMINISTRATOR = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"
CLOUD_APPLICATION_ADMINISTRATOR = "158c047a-c907-4556-b7ef-446551a6b5f7"
PRIVILEGED_ROLE_ADMINISTRATOR = "e8611ab8-c189-46e8-94e1-60213ab1f814"
USER_ADMINISTRATOR = "fe930be7-5e62-47db-91af-98c3a49a38b1"

_AS_USER = "Directory.AccessAsUser.All"
"""Lets a client do whatever the person may."""
_OWNED = "Application.ReadWrite.OwnedBy"
_ADMINISTRATORS_OF_APPLICATIONS = frozenset(
    {GLOBAL_ADMINISTRATOR, APPLICATION_ADMINISTRATOR, CLOUD_APPLICATION_ADMINISTRATOR}
)


@dataclass(frozen=True)
class Right:
    """Permissions of which one suffices, and the directory roles of which a person needs one; None: any member."""

    permissions: frozenset[str]
    administrators: frozenset[str] | None


READ_APPLICATIONS = Right(
    frozenset({"Application.Read.All", "Application.ReadWrite.All", _OWNED, "Directory.Read.All"})
    | {"Directory.ReadWrite.All"},
    None,
)
WRITE_APPLICATIONS = Right(frozenset({"Application.ReadWrite.All"}), _ADMINISTRATORS_OF_APPLICATIONS)
CREATE_APPLICATIONS = Right(frozenset({"Application.ReadWrite.All", _OWNED}), _ADMINISTRATORS_OF_APPLICATIONS)
GRANT = Right(frozenset({"AppRoleAssignment.ReadWrite.All"}), _ADMINISTRATORS_OF_APPLICATIONS)
GRANT_OF_GRAPH = Right(
    frozenset({"AppRoleAssignment.ReadWrite.All"}), frozenset({GLOBAL_ADMINISTRATOR, PRIVILEGED_ROLE_ADMINISTRATOR})
)
READ_GRANTS = Right(READ_APPLICATIONS.permissions | {"AppRoleAssignment.ReadWrite.All"}, None)
READ_DELEGATED = Right(
    frozenset({"Directory.Read.All", "Directory.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"}), None
)
WRITE_DELEGATED = Right(frozenset({"DelegatedPermissionGrant.ReadWrite.All"}), _ADMINISTRATORS_OF_APPLICATIONS)
READ_PEOPLE = Right(
    frozenset({"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "User.ReadBasic.All"}), None
)
WRITE_PEOPLE = Right(frozenset({"User.ReadWrite.All"}), frozenset({GLOBAL_ADMINISTRATOR, USER_ADMINISTRATOR}))
READ_ORGANISATION = Right(
    frozenset({"Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Domain.Read.All"}), None
)
READ_ROLES = Right(
    frozenset({"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "Directory.Read.All"}), None
)
WRITE_ROLES = Right(
    frozenset({"RoleManagement.ReadWrite.Directory"}), frozenset({GLOBAL_ADMINISTRATOR, PRIVILEGED_ROLE_ADMINISTRATOR})
)
READ_POLICIES = Right(frozenset({"Policy.Read.All"}), frozenset({GLOBAL_ADMINISTRATOR}))
WRITE_POLICIES = Right(frozenset({"Policy.ReadWrite.SecurityDefaults"}), frozenset({GLOBAL_ADMINISTRATOR}))


def demand(call: Call, right: Right, *, owner: str = "") -> None:
    """Raises `GraphError` Authorization_RequestDenied unless the caller has the right.

    `owner` is the application id of who made the object: Application.ReadWrite.OwnedBy suffices for one's own.
    """
    caller = call.caller
    if caller.user_id:
        user = call.tenant.directory.users.get(caller.user_id)
        held: Collection[str] = user.directory_roles if user else ()
        consented = not caller.scopes.isdisjoint(right.permissions | {_AS_USER})
        if consented and user is not None and (right.administrators is None or _any(right.administrators, held)):
            return
    else:
        principal = call.tenant.directory.service_principals.get(caller.object_id)
        own = bool(owner) and owner == caller.app_id and _OWNED in caller.roles
        by_role = principal is not None and _any(right.administrators or (), principal.directory_roles)
        if own or by_role or not caller.roles.isdisjoint(right.permissions):
            return
    # Facts 5 [U text].
    raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def _any(wanted: Collection[str], held: Collection[str]) -> bool:
    return not set(wanted).isdisjoint(held)
