"""RBAC for Applications (facts 4.3): management scopes, role assignments to applications, groups, and the test."""

from __future__ import annotations

from collections.abc import Iterator

from m365lab.access import covers
from m365lab.adminapi.cmdlet import Row, Run, already_exists, bad_value, cmdlet, not_found
from m365lab.adminapi.identity import find_mailbox, given, mailbox_of, principal_of
from m365lab.exchange import Group, ManagementScope, RoleScope
from m365lab.opath import BadFilter, check

_PREFIX = "Application "
ROLES = (
    "Application SMTP.SendAsApp",
    "Application Mail.Read",
    "Application Mail.ReadBasic",
    "Application Mail.ReadWrite",
    "Application Mail.Send",
    "Application EWS.AccessAsApp",
)


@cmdlet("New-ManagementScope", "Name", "RecipientRestrictionFilter")
def new_scope(run: Run) -> Iterator[Row]:
    name = run.needed("Name")
    if run.tenant.exchange.management_scope(name) is not None:
        raise already_exists(f'The management scope "{name}"')
    scope = ManagementScope(name, _filter(run))
    run.tenant.exchange.management_scopes.append(scope)
    yield _shown_scope(scope)


@cmdlet("Get-ManagementScope", "Identity")
def get_scope(run: Run) -> Iterator[Row]:
    if run.has("Identity"):
        yield _shown_scope(_scope(run, run.needed("Identity")))
    else:
        yield from map(_shown_scope, run.tenant.exchange.management_scopes)


@cmdlet("Set-ManagementScope", "Identity", "RecipientRestrictionFilter")
def set_scope(run: Run) -> Iterator[Row]:
    _scope(run, run.needed("Identity")).filter = _filter(run)
    yield from ()


@cmdlet("Remove-ManagementScope", "Identity")
def remove_scope(run: Run) -> Iterator[Row]:
    scope, exchange = _scope(run, run.needed("Identity")), run.tenant.exchange
    if any(held.management_scope.lower() == scope.name.lower() for held in exchange.scopes):
        raise bad_value(f'The management scope "{scope.name}" is in use by a role assignment.')
    exchange.management_scopes.remove(scope)
    yield from ()


@cmdlet("New-ManagementRoleAssignment", "Name", "Role", "App", "CustomResourceScope")
def new_assignment(run: Run) -> Iterator[Row]:
    exchange, role = run.tenant.exchange, _role(run)
    known = principal_of(run, run.needed("App"))
    scope = _scope(run, run.needed("CustomResourceScope")).name if run.has("CustomResourceScope") else ""
    name = run.text("Name") or f"{role.removeprefix(_PREFIX)}-{known.name or known.app_id}"
    if any(held.name.lower() == name.lower() for held in exchange.scopes):
        raise already_exists(f'The management role assignment "{name}"')
    made = RoleScope(name, known.app_id, role.removeprefix(_PREFIX), set(), scope)
    exchange.scopes.append(made)
    given(run, "scope", name)
    yield _shown_assignment(made)


@cmdlet("Get-ManagementRoleAssignment", "Identity", "RoleAssignee", "Role")
def get_assignment(run: Run) -> Iterator[Row]:
    """Of applications only; the lab has no assignments to people."""
    held = run.tenant.exchange.scopes
    if run.has("Identity"):
        held = [_assignment(run, run.needed("Identity"))]
    if run.has("RoleAssignee"):
        app_id = principal_of(run, run.needed("RoleAssignee")).app_id
        held = [scope for scope in held if scope.app_id == app_id]
    if run.has("Role"):
        held = [scope for scope in held if f"{_PREFIX}{scope.role}" == _role(run)]
    yield from map(_shown_assignment, held)


@cmdlet("Remove-ManagementRoleAssignment", "Identity")
def remove_assignment(run: Run) -> Iterator[Row]:
    run.tenant.exchange.scopes.remove(_assignment(run, run.needed("Identity")))
    yield from ()


@cmdlet("Test-ServicePrincipalAuthorization", "Identity", "Resource")
def test(run: Run) -> Iterator[Row]:
    known = principal_of(run, run.needed("Identity"))
    mailbox = mailbox_of(run, run.needed("Resource")) if run.has("Resource") else None
    for held in run.tenant.exchange.scopes:
        if held.app_id == known.app_id:
            scoped = bool(held.management_scope or held.members)
            yield {
                "RoleName": f"{_PREFIX}{held.role}",
                "GrantedPermissions": held.role,
                "AllowedResourceScope": held.management_scope or ("" if scoped else "Organization"),
                "ScopeType": "CustomRecipientScope" if scoped else "Organization",
                "InScope": str(covers(run.tenant, held, mailbox.address)) if mailbox else "Not Run",
            }


@cmdlet("New-DistributionGroup", "Name", "Type", "PrimarySmtpAddress", "Members", "DisplayName", "Alias")
def new_group(run: Run) -> Iterator[Row]:
    """A mail-enabled security group, for scopes by membership."""
    name, tenant = run.needed("Name"), run.tenant
    if _find_group(run, name) is not None:
        raise already_exists(f'The group "{name}"')
    alias = run.text("Alias") or "".join(c for c in name if c.isalnum() or c in "._-")
    address = (run.text("PrimarySmtpAddress") or f"{alias}@{tenant.directory.domains[0]}").lower()
    group = Group(name, address)
    for member in run.edits("Members", ()) if run.has("Members") else ():
        group.members.add(mailbox_of(run, member).address)
    tenant.exchange.groups.append(group)
    yield _shown_group(group)


@cmdlet("Get-DistributionGroup", "Identity")
def get_group(run: Run) -> Iterator[Row]:
    if run.has("Identity"):
        yield _shown_group(_group(run))
    else:
        yield from map(_shown_group, run.tenant.exchange.groups)


@cmdlet("Remove-DistributionGroup", "Identity")
def remove_group(run: Run) -> Iterator[Row]:
    run.tenant.exchange.groups.remove(_group(run))
    yield from ()


@cmdlet("Add-DistributionGroupMember", "Identity", "Member")
def add_member(run: Run) -> Iterator[Row]:
    group, mailbox = _group(run), mailbox_of(run, run.needed("Member"))
    if mailbox.address in group.members:
        raise already_exists(f'The recipient "{mailbox.alias}" is a member of the group "{group.name}", which')
    group.members.add(mailbox.address)
    yield from ()


@cmdlet("Get-DistributionGroupMember", "Identity")
def get_members(run: Run) -> Iterator[Row]:
    for address in sorted(_group(run).members):
        mailbox = find_mailbox(run, address)
        if mailbox is not None:
            yield {"Name": mailbox.name, "PrimarySmtpAddress": address, "RecipientType": "UserMailbox"}


@cmdlet("Remove-DistributionGroupMember", "Identity", "Member")
def remove_member(run: Run) -> Iterator[Row]:
    _group(run).members.discard(mailbox_of(run, run.needed("Member")).address)
    yield from ()


def _role(run: Run) -> str:
    wanted = run.needed("Role")
    for role in ROLES:
        if role.lower() == wanted.lower():
            return role
    raise not_found(wanted)


def _filter(run: Run) -> str:
    text = run.needed("RecipientRestrictionFilter")
    try:
        check(text)
    except BadFilter as error:
        raise bad_value(f'The recipient restriction filter "{text}" is invalid. {error}') from error
    return text


def _scope(run: Run, name: str) -> ManagementScope:
    found = run.tenant.exchange.management_scope(name)
    if found is None:
        raise not_found(name)
    return found


def _assignment(run: Run, name: str) -> RoleScope:
    for held in run.tenant.exchange.scopes:
        if held.name.lower() == name.lower():
            return held
    raise not_found(name)


def _group(run: Run) -> Group:
    found = _find_group(run, run.needed("Identity"))
    if found is None:
        raise not_found(run.text("Identity"))
    return found


def _find_group(run: Run, identity: str) -> Group | None:
    wanted = identity.lower()
    for group in run.tenant.exchange.groups:
        if wanted in {group.name.lower(), group.address, group.distinguished_name.lower()}:
            return group
    return None


def _shown_scope(scope: ManagementScope) -> Row:
    return {
        "Name": scope.name,
        "Identity": scope.name,
        "RecipientFilter": scope.filter,
        "ScopeRestrictionType": "RecipientScope",
        "Exclusive": False,
    }


def _shown_assignment(held: RoleScope) -> Row:
    return {
        "Name": held.name,
        "Identity": held.name,
        "Role": f"{_PREFIX}{held.role}",
        "App": held.app_id,
        "RoleAssignee": held.app_id,
        "RoleAssigneeType": "ServicePrincipal",
        "CustomResourceScope": held.management_scope or None,
        "RecipientWriteScope": "CustomRecipientScope" if held.management_scope else "Organization",
        "Enabled": True,
    }


def _shown_group(group: Group) -> Row:
    return {
        "Name": group.name,
        "DisplayName": group.name,
        "Identity": group.name,
        "PrimarySmtpAddress": group.address,
        "DistinguishedName": group.distinguished_name,
        "RecipientTypeDetails": "MailUniversalSecurityGroup",
    }
