"""The cmdlets, and that the mail servers go by what they set."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from m365lab.access import Denial, Denied, Protocol, Visit, check
from m365lab.directory import ServicePrincipal
from m365lab.faults import Fault, FaultName
from m365lab.post import PostOffice, SendAsDenied
from support.exchange_admin import EXCHANGE, Exchange

HASHTABLE = {"@odata.type": "#Exchange.GenericHashTable"}
ALL_ROLES = ("IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp")


@pytest.fixture
def newcomer(exchange: Exchange) -> ServicePrincipal:
    """An application that Entra knows and Exchange does not."""
    principal = ServicePrincipal(str(uuid.uuid4()), str(uuid.uuid4()), "Newcomer")
    exchange.tenant.directory.service_principals[principal.id] = principal
    return principal


def visit(
    exchange: Exchange,
    principal: ServicePrincipal,
    protocol: Protocol = Protocol.IMAP,
    local: str = "megan",
    roles: tuple[str, ...] = ALL_ROLES,
) -> Denial | None:
    """Why the servers refuse; None when they let in."""
    token = exchange.tenant.tokens.app_token(principal, EXCHANGE, roles, "1")
    verdict: Visit | Denied = check(exchange.tenant, protocol, f"{local}@contoso.example", token)
    return verdict.why if isinstance(verdict, Denied) else None


def register(exchange: Exchange, principal: ServicePrincipal, object_id: str = "") -> None:
    exchange.run("New-ServicePrincipal", AppId=principal.app_id, ObjectId=object_id or principal.id, DisplayName="New")


def grant(exchange: Exchange, principal: ServicePrincipal, local: str = "megan") -> None:
    exchange.run("Add-MailboxPermission", Identity=local, User=principal.id, AccessRights=["FullAccess"])


def test_from_unknown_to_signed_in(exchange: Exchange, newcomer: ServicePrincipal) -> None:
    assert visit(exchange, newcomer) is Denial.PRINCIPAL
    # Exchange must know a principal before it can hold a right.
    assert (
        exchange.fails("Add-MailboxPermission", Identity="megan", User=newcomer.id, AccessRights="FullAccess")[0] == 404
    )
    register(exchange, newcomer)
    assert visit(exchange, newcomer) is Denial.RIGHT
    grant(exchange, newcomer)
    assert visit(exchange, newcomer) is None
    exchange.run("Set-CASMailbox", Identity="megan@contoso.example", ImapEnabled=False)
    assert visit(exchange, newcomer) is Denial.SWITCHED_OFF_MAILBOX
    exchange.run("Remove-MailboxPermission", Identity="megan", User=newcomer.app_id, AccessRights="FullAccess")
    assert visit(exchange, newcomer) is Denial.RIGHT
    exchange.run("Remove-ServicePrincipal", Identity=newcomer.id, Confirm=False)
    assert visit(exchange, newcomer) is Denial.PRINCIPAL


def test_the_wrong_object_id_is_believed_and_never_works(exchange: Exchange, newcomer: ServicePrincipal) -> None:
    wrong = str(uuid.uuid4())
    register(exchange, newcomer, wrong)
    exchange.run("Add-MailboxPermission", Identity="megan", User=newcomer.app_id, AccessRights="FullAccess")
    assert exchange.mailbox("megan").full_access == {wrong}
    assert visit(exchange, newcomer) is Denial.PRINCIPAL
    status, _, text = exchange.fails("New-ServicePrincipal", AppId=newcomer.app_id, ObjectId=newcomer.id)
    assert status == 400
    assert "already exist" in text
    exchange.run("Remove-ServicePrincipal", Identity=wrong)
    assert exchange.mailbox("megan").full_access == set()
    register(exchange, newcomer)
    grant(exchange, newcomer)
    assert visit(exchange, newcomer) is None


def test_service_principals_are_listed_and_renamed(exchange: Exchange, newcomer: ServicePrincipal) -> None:
    exchange.run("New-ServicePrincipal", AppId=newcomer.app_id, ServiceId=newcomer.id)
    exchange.run("Set-ServicePrincipal", Identity=newcomer.app_id, DisplayName="Renamed")
    (row,) = exchange.run("Get-ServicePrincipal", Identity="Renamed")
    assert (row["AppId"], row["ObjectId"], row["DisplayName"]) == (newcomer.app_id, newcomer.id, "Renamed")
    assert len(exchange.run("Get-ServicePrincipal")) == 2
    assert exchange.fails("New-ServicePrincipal", AppId="no-guid", ObjectId=newcomer.id)[0] == 400


def test_a_shared_mailbox_is_made_and_removed(exchange: Exchange) -> None:
    (row,) = exchange.run("New-Mailbox", Shared=True, Name="Sales Department", Alias="Sales")
    assert (row["PrimarySmtpAddress"], row["RecipientTypeDetails"]) == ("sales@contoso.example", "SharedMailbox")
    user = exchange.tenant.directory.users[row["ExternalDirectoryObjectId"]]
    assert (user.upn, user.licences) == ("sales@contoso.example", [])
    assert exchange.run("Get-Mailbox", Identity="Sales Department")[0]["Guid"] == row["Guid"] != user.id
    assert exchange.fails("New-Mailbox", Shared=True, Name="Sales Department")[1] == "ADObjectAlreadyExistsException"
    taken = exchange.fails("New-Mailbox", Shared=True, Name="Other", PrimarySmtpAddress="sales@contoso.example")
    assert taken[1] == "ProxyAddressExistsException"
    assert exchange.fails("New-Mailbox", Shared=True, Name="x" * 65)[0] == 400
    assert exchange.fails("New-Mailbox", Shared=True, Name="a", PrimarySmtpAddress="a@elsewhere.example")[0] == 400
    shared = exchange.run("Get-Mailbox", RecipientTypeDetails="Shared")
    assert {r["PrimarySmtpAddress"].partition("@")[0] for r in shared} == {"notifications", "support", "sales"}
    exchange.run("Remove-Mailbox", Identity="sales", Confirm=False)
    assert exchange.fails("Get-Mailbox", Identity="sales")[0] == 404


def test_permissions_are_listed_with_self_and_said_twice_only_warned_of(exchange: Exchange) -> None:
    exchange.run("Add-MailboxPermission", Identity="support", User="megan@contoso.example", AccessRights="FullAccess")
    again = exchange.post("Add-MailboxPermission", Identity="support", User="megan", AccessRights="FullAccess")
    assert "already present" in again.json()["@adminapi.warnings"][0]
    rows = exchange.run("Get-MailboxPermission", Identity="support")
    holders = {row["User"] for row in rows}
    assert holders == {"NT AUTHORITY\\SELF", exchange.ready.principal.id, "megan@contoso.example"}
    (one,) = exchange.run("Get-MailboxPermission", Identity="support", User=exchange.ready.principal.id)
    assert one["AccessRights"] == ["FullAccess"]


def test_send_as_decides_over_the_from(exchange: Exchange) -> None:
    office, megan = PostOffice(exchange.tenant), exchange.mailbox("megan")
    raw = b"From: support@contoso.example\r\nTo: lee@contoso.example\r\n\r\nx\r\n"
    with pytest.raises(SendAsDenied):
        office.submit(megan, "support@contoso.example", ("lee@contoso.example",), raw)
    exchange.run("Add-RecipientPermission", Identity="support", Trustee="megan", AccessRights="SendAs", Confirm=False)
    office.submit(megan, "support@contoso.example", ("lee@contoso.example",), raw)
    trustees = [row["Trustee"] for row in exchange.run("Get-RecipientPermission", Identity="support")]
    assert trustees == ["NT AUTHORITY\\SELF", "megan@contoso.example"]
    exchange.run("Remove-RecipientPermission", Identity="support", Trustee="megan", AccessRights="SendAs")
    with pytest.raises(SendAsDenied):
        office.submit(megan, "support@contoso.example", ("lee@contoso.example",), raw)
    exchange.run("Set-Mailbox", Identity="support", GrantSendOnBehalfTo={**HASHTABLE, "add": "megan@contoso.example"})
    office.submit(megan, "support@contoso.example", ("lee@contoso.example",), raw)
    inbox = exchange.mailbox("lee").store.folder("inbox")
    assert inbox is not None
    assert [m.parsed["Sender"] for m in inbox.messages.values()] == [None, "megan@contoso.example"]


def test_hashtables_add_and_remove(exchange: Exchange) -> None:
    exchange.run("Set-Mailbox", Identity="support", EmailAddresses={**HASHTABLE, "add": ["smtp:help@contoso.example"]})
    assert exchange.mailbox("support").aliases == ["help@contoso.example"]
    exchange.run(
        "Set-Mailbox",
        Identity="help@contoso.example",
        EmailAddresses={**HASHTABLE, "remove": "smtp:help@contoso.example"},
    )
    assert exchange.mailbox("support").aliases == []
    assert exchange.fails("Set-Mailbox", Identity="support", GrantSendOnBehalfTo={"add": "megan"})[0] == 400
    # Send on Behalf is not for service principals.
    principal = {**HASHTABLE, "add": exchange.ready.principal.id}
    assert exchange.fails("Set-Mailbox", Identity="support", GrantSendOnBehalfTo=principal)[0] == 400


def test_smtp_switches_of_mailbox_and_organisation(exchange: Exchange, newcomer: ServicePrincipal) -> None:
    register(exchange, newcomer)
    grant(exchange, newcomer)
    smtp = Protocol.SMTP
    assert visit(exchange, newcomer, smtp) is None
    exchange.run("Set-TransportConfig", SmtpClientAuthenticationDisabled=True)
    assert exchange.run("Get-TransportConfig")[0]["SmtpClientAuthenticationDisabled"] is True
    assert visit(exchange, newcomer, smtp) is Denial.SWITCHED_OFF_TENANT
    exchange.run("Set-CASMailbox", Identity="megan", SmtpClientAuthenticationDisabled=False)
    assert visit(exchange, newcomer, smtp) is None
    exchange.run("Set-CASMailbox", Identity="megan", SmtpClientAuthenticationDisabled=None)
    assert exchange.run("Get-CASMailbox", Identity="megan")[0]["SmtpClientAuthenticationDisabled"] is None
    assert visit(exchange, newcomer, smtp) is Denial.SWITCHED_OFF_TENANT
    exchange.tenant.directory.security_defaults = True
    exchange.run("Set-CASMailbox", Identity="megan", SmtpClientAuthenticationDisabled=False)
    assert visit(exchange, newcomer, smtp) is Denial.SWITCHED_OFF_TENANT


def scoped(exchange: Exchange, principal: ServicePrincipal, filter_: str) -> None:
    register(exchange, principal)
    exchange.run("New-ManagementScope", Name="Scope", RecipientRestrictionFilter=filter_)
    exchange.run(
        "New-ManagementRoleAssignment",
        Name="Assigned",
        Role="Application SMTP.SendAsApp",
        App=principal.id,
        CustomResourceScope="Scope",
    )


def test_a_scope_by_group_stands_in_for_role_and_right(exchange: Exchange, newcomer: ServicePrincipal) -> None:
    (group,) = exchange.run("New-DistributionGroup", Name="Senders", Type="Security", Members=["megan"])
    scoped(exchange, newcomer, f"MemberOfGroup -eq '{group['DistinguishedName']}'")
    smtp, nothing = Protocol.SMTP, ("Nothing.Granted",)
    assert visit(exchange, newcomer, smtp, "megan", nothing) is None
    assert visit(exchange, newcomer, smtp, "lee", nothing) is Denial.ROLE
    exchange.run("Add-DistributionGroupMember", Identity="Senders", Member="lee")
    assert visit(exchange, newcomer, smtp, "lee", nothing) is None
    # The claim calls for the mailbox right again (facts 4.3).
    assert visit(exchange, newcomer, smtp, "megan") is Denial.RIGHT
    rows = exchange.run("Test-ServicePrincipalAuthorization", Identity=newcomer.app_id, Resource="adele")
    assert [(r["RoleName"], r["InScope"], r["ScopeType"]) for r in rows] == [
        ("Application SMTP.SendAsApp", "False", "CustomRecipientScope")
    ]
    (asked,) = exchange.run("Test-ServicePrincipalAuthorization", Identity="New")
    assert asked["InScope"] == "Not Run"
    assert exchange.fails("Remove-ManagementScope", Identity="Scope")[0] == 400
    exchange.run("Remove-ManagementRoleAssignment", Identity="Assigned")
    exchange.run("Remove-ManagementScope", Identity="Scope")
    assert visit(exchange, newcomer, smtp, "megan", nothing) is Denial.ROLE


@pytest.mark.parametrize(
    ("filter_", "inside"),
    [
        ("PrimarySmtpAddress -eq 'megan@contoso.example'", {"megan"}),
        ("Alias -eq 'megan' -or Alias -eq 'lee'", {"megan", "lee"}),
        ("CustomAttribute1 -eq 'Postroom' -and -not (Alias -eq 'lee')", {"adele"}),
        ("DisplayName -like 'Lee*'", {"lee"}),
        ("RecipientTypeDetails -eq 'SharedMailbox'", {"notifications", "support"}),
    ],
)
def test_scopes_by_filter(exchange: Exchange, newcomer: ServicePrincipal, filter_: str, inside: set[str]) -> None:
    for local in ("adele", "lee"):
        exchange.run("Set-Mailbox", Identity=local, CustomAttribute1="Postroom")
    scoped(exchange, newcomer, filter_)
    names = [address.partition("@")[0] for address in exchange.tenant.exchange.mailboxes]
    nothing = ("Nothing.Granted",)
    assert {n for n in names if visit(exchange, newcomer, Protocol.SMTP, n, nothing) is None} == inside


@pytest.mark.parametrize(
    "filter_", ["", "Alias", "Alias -is 'x'", "Height -eq '2'", "(Alias -eq 'x'", "Alias -eq 'x' Alias"]
)
def test_a_filter_that_cannot_be_read(exchange: Exchange, filter_: str) -> None:
    assert exchange.fails("New-ManagementScope", Name="s", RecipientRestrictionFilter=filter_)[0] == 400


def test_roles_and_names_of_assignments_are_checked(exchange: Exchange, newcomer: ServicePrincipal) -> None:
    register(exchange, newcomer)
    good: dict[str, Any] = {"Name": "a", "Role": "Application Mail.Send", "App": newcomer.app_id}
    exchange.run("New-ManagementRoleAssignment", **good)
    assert "already exist" in exchange.fails("New-ManagementRoleAssignment", **good)[2]
    assert exchange.fails("New-ManagementRoleAssignment", **good | {"Name": "b", "Role": "Mail.Send"})[0] == 404
    assert (
        exchange.fails("New-ManagementRoleAssignment", **good | {"Name": "b", "CustomResourceScope": "none"})[0] == 404
    )
    (held,) = exchange.run("Get-ManagementRoleAssignment", RoleAssignee=newcomer.app_id)
    assert (held["Role"], held["RecipientWriteScope"]) == ("Application Mail.Send", "Organization")


def test_rights_take_a_while_to_spread(exchange: Exchange, newcomer: ServicePrincipal) -> None:
    exchange.tenant.faults.switch_on(Fault(FaultName.PROPAGATION, values={"seconds": 100}))
    register(exchange, newcomer)
    assert visit(exchange, newcomer) is Denial.PRINCIPAL
    exchange.tenant.clock.skew = 101
    assert visit(exchange, newcomer) is Denial.RIGHT
    grant(exchange, newcomer)
    assert visit(exchange, newcomer) is Denial.RIGHT
    exchange.tenant.clock.skew = 202
    assert visit(exchange, newcomer) is None
    exchange.run("New-Mailbox", Shared=True, Name="Late", Alias="late")
    assert exchange.fails("Set-CASMailbox", Identity="late", ImapEnabled=True)[0] == 404
    exchange.tenant.clock.skew = 303
    exchange.run("Set-CASMailbox", Identity="late", ImapEnabled=True)
