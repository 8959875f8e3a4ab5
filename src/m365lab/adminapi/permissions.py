"""*-MailboxPermission (FullAccess) and *-RecipientPermission (SendAs), facts 4.1."""

from __future__ import annotations

from collections.abc import Iterator

from m365lab.adminapi.cmdlet import Row, Run, cmdlet
from m365lab.adminapi.identity import find_principal, given, mailbox_of, shown_trustee, trustee_of
from m365lab.exchange import Mailbox

_ACES_AT_MOST = 500
_RIGHTS = ("FullAccess", "ReadPermission", "ChangeOwner", "ChangePermission", "DeleteItem", "ExternalAccount")
_SELF = "NT AUTHORITY\\SELF"


@cmdlet(
    "Add-MailboxPermission", "Identity", "User", "AccessRights", "InheritanceType", "AutoMapping", "Deny", "Owner",
)  # fmt: skip
def add_mailbox_permission(run: Run) -> Iterator[Row]:
    mailbox, holder = mailbox_of(run, run.needed("Identity")), trustee_of(run, run.needed("User"))
    rights = run.chosen("AccessRights", _RIGHTS)
    if run.has("InheritanceType"):
        run.chosen("InheritanceType", ("None", "All", "Descendents", "SelfAndChildren", "Children"))
    if holder in mailbox.full_access:
        run.warnings.append(
            f'The appropriate access control entry is already present on the object "{mailbox.alias}" '
            f'for account "{shown_trustee(run, holder)}".'
        )
    elif "FullAccess" in rights and len(mailbox.full_access) < _ACES_AT_MOST:
        mailbox.full_access.add(holder)
        given(run, "full_access", mailbox.address, holder)
    yield _full_access(run, mailbox, holder)


@cmdlet("Get-MailboxPermission", "Identity", "User")
def get_mailbox_permission(run: Run) -> Iterator[Row]:
    mailbox = mailbox_of(run, run.needed("Identity"))
    wanted = _wanted(run, "User")
    if wanted is None:
        yield _mailbox_row(mailbox, _SELF, ["FullAccess", "ReadPermission"])
    for holder in sorted(mailbox.full_access):
        if wanted is None or holder in wanted:
            yield _full_access(run, mailbox, holder)


@cmdlet("Remove-MailboxPermission", "Identity", "User", "AccessRights", "InheritanceType")
def remove_mailbox_permission(run: Run) -> Iterator[Row]:
    mailbox, wanted = mailbox_of(run, run.needed("Identity")), _wanted(run, "User") or set()
    run.chosen("AccessRights", _RIGHTS)
    if not mailbox.full_access & wanted:
        run.warnings.append(f'An inherited or no access control entry for "{run.text("User")}": nothing was removed.')
    mailbox.full_access -= wanted
    yield from ()


@cmdlet("Add-RecipientPermission", "Identity", "Trustee", "AccessRights")
def add_recipient_permission(run: Run) -> Iterator[Row]:
    mailbox, holder = mailbox_of(run, run.needed("Identity")), trustee_of(run, run.needed("Trustee"))
    run.chosen("AccessRights", ("SendAs",))
    if holder in mailbox.send_as:
        run.warnings.append(
            f'The appropriate access control entry is already present on the object "{mailbox.alias}" '
            f'for account "{shown_trustee(run, holder)}".'
        )
    else:
        mailbox.send_as.add(holder)
        given(run, "send_as", mailbox.address, holder)
    yield _recipient_row(mailbox, shown_trustee(run, holder))


@cmdlet("Get-RecipientPermission", "Identity", "Trustee")
def get_recipient_permission(run: Run) -> Iterator[Row]:
    """Of one recipient, or of all."""
    wanted = _wanted(run, "Trustee")
    if run.has("Identity"):
        mailboxes = [mailbox_of(run, run.needed("Identity"))]
    else:
        mailboxes = list(run.tenant.exchange.mailboxes.values())
    for mailbox in mailboxes:
        if wanted is None:
            yield _recipient_row(mailbox, _SELF)
        for holder in sorted(mailbox.send_as):
            if wanted is None or holder in wanted:
                yield _recipient_row(mailbox, shown_trustee(run, holder))


@cmdlet("Remove-RecipientPermission", "Identity", "Trustee", "AccessRights")
def remove_recipient_permission(run: Run) -> Iterator[Row]:
    mailbox, wanted = mailbox_of(run, run.needed("Identity")), _wanted(run, "Trustee") or set()
    run.chosen("AccessRights", ("SendAs",))
    if not mailbox.send_as & wanted:
        run.warnings.append(f'There is no access control entry for "{run.text("Trustee")}": nothing was removed.')
    mailbox.send_as -= wanted
    yield from ()


def _wanted(run: Run, name: str) -> set[str] | None:
    """Under which ids a trustee may hold a right; None when the cmdlet did not ask for one. Raises `CmdletError`."""
    if not run.has(name):
        return None
    holder = trustee_of(run, run.needed(name))
    mailbox = run.tenant.exchange.mailbox(holder) if find_principal(run, holder) is None else None
    return {holder, mailbox.user_id} if mailbox else {holder}


def _full_access(run: Run, mailbox: Mailbox, holder: str) -> Row:
    return _mailbox_row(mailbox, shown_trustee(run, holder), ["FullAccess"])


def _mailbox_row(mailbox: Mailbox, user: str, rights: list[str]) -> Row:
    return {
        "Identity": mailbox.alias,
        "User": user,
        "AccessRights": rights,
        "Deny": False,
        "InheritanceType": "All",
        "IsInherited": False,
    }


def _recipient_row(mailbox: Mailbox, trustee: str) -> Row:
    return {
        "Identity": mailbox.alias,
        "Trustee": trustee,
        "AccessControlType": "Allow",
        "AccessRights": ["SendAs"],
        "InheritanceType": "None",
        "IsInherited": False,
    }
