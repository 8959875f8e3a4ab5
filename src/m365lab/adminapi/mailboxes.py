"""*-Mailbox, and the domains and settings of the organisation."""

from __future__ import annotations

from collections.abc import Iterator

from m365lab.adminapi.cmdlet import CmdletError, Row, Run, bad_value, cmdlet
from m365lab.adminapi.identity import find_mailbox, find_principal, given, guid, mailbox_of
from m365lab.directory import User, new_id
from m365lab.exchange import Mailbox, distinguished_name

_NAME_AT_MOST = 64
_ATTRIBUTES = tuple(f"CustomAttribute{number}" for number in range(1, 16))
_TYPES = ("SharedMailbox", "UserMailbox")


@cmdlet("New-Mailbox", "Name", "DisplayName", "Alias", "PrimarySmtpAddress", "Shared")
def new(run: Run) -> Iterator[Row]:
    """A shared mailbox. Its user is made with it: no licence, and a password that nobody knows."""
    tenant, name = run.tenant, run.needed("Name")
    if not run.boolean("Shared"):
        raise bad_value("The lab makes shared mailboxes only: pass Shared, or assign a licence to a user.")
    if len(name) > _NAME_AT_MOST:
        raise bad_value(f"The length of the property is too long. The maximum length is {_NAME_AT_MOST}: Name.")
    alias = run.text("Alias") or "".join(c for c in name if c.isalnum() or c in "._-")
    address = (run.text("PrimarySmtpAddress") or f"{alias}@{tenant.directory.domains[0]}").lower()
    if address.rpartition("@")[2] not in tenant.directory.domains:
        raise bad_value(f"The domain of '{address}' is not an accepted domain of your organization.")
    if any(mailbox.name.lower() == name.lower() for mailbox in tenant.exchange.mailboxes.values()):
        raise _taken("ADObjectAlreadyExistsException", f'The name "{name}" is already being used. Please try another.')
    if tenant.exchange.mailbox(address) or tenant.directory.user(address):
        raise _taken(
            "ProxyAddressExistsException",
            f'The proxy address "SMTP:{address}" is already being used. Please choose another proxy address.',
        )
    user = User(new_id(), address, run.text("DisplayName") or name, enabled=True)
    tenant.directory.users[user.id] = user
    mailbox = tenant.exchange.mailboxes[address] = Mailbox(address, user.name, user.id, shared=True)
    given(run, "mailbox", address)
    yield _shown(mailbox)


@cmdlet("Get-Mailbox", "Identity", "RecipientTypeDetails")
def get(run: Run) -> Iterator[Row]:
    kinds = run.chosen("RecipientTypeDetails", _TYPES) if run.has("RecipientTypeDetails") else _TYPES
    if run.has("Identity"):
        found = [mailbox_of(run, run.needed("Identity"))]
    else:
        found = list(run.tenant.exchange.mailboxes.values())
    for mailbox in found:
        if _kind(mailbox) in kinds and run.tenant.is_licensed(mailbox):
            yield _shown(mailbox)


@cmdlet(
    "Set-Mailbox", "Identity", "DisplayName", "GrantSendOnBehalfTo", "EmailAddresses", "Type",
    "MessageCopyForSentAsEnabled", "MessageCopyForSendOnBehalfEnabled", *_ATTRIBUTES,
)  # fmt: skip
def set_(run: Run) -> Iterator[Row]:
    mailbox = mailbox_of(run, run.needed("Identity"))
    trustees = _delegates(run, mailbox) if run.has("GrantSendOnBehalfTo") else mailbox.send_on_behalf
    if run.has("EmailAddresses"):
        _readdress(run, mailbox)
    mailbox.send_on_behalf = trustees
    mailbox.name = run.text("DisplayName") or mailbox.name
    if run.has("Type"):
        mailbox.shared = run.chosen("Type", ("Shared", "Regular")) == ["Shared"]
    for name in _ATTRIBUTES:
        if run.has(name):
            mailbox.attributes[name.lower()] = run.text(name)
    yield from ()


@cmdlet("Remove-Mailbox", "Identity", "Force")
def remove(run: Run) -> Iterator[Row]:
    """Its user goes too."""
    mailbox = mailbox_of(run, run.needed("Identity"))
    del run.tenant.exchange.mailboxes[mailbox.address]
    run.tenant.directory.users.pop(mailbox.user_id, None)
    yield from ()


@cmdlet("Get-AcceptedDomain", "Identity")
def get_domains(run: Run) -> Iterator[Row]:
    for number, domain in enumerate(run.tenant.directory.domains):
        yield {"Name": domain, "DomainName": domain, "DomainType": "Authoritative", "Default": number == 0}


@cmdlet("Get-OrganizationConfig")
def get_organisation(run: Run) -> Iterator[Row]:
    directory = run.tenant.directory
    yield {"Name": directory.domains[-1], "DisplayName": directory.name, "Guid": directory.tenant_id}


def _delegates(run: Run, mailbox: Mailbox) -> set[str]:
    """Send on Behalf is for mailboxes: a service principal cannot have it (facts 4.1, inference)."""
    found = set()
    for name in run.edits("GrantSendOnBehalfTo", mailbox.send_on_behalf):
        trustee = find_mailbox(run, name)
        if trustee is None or find_principal(run, name) is not None:
            raise bad_value(f'Couldn\'t find object "{name}". Please make sure that it is a mailbox or a mail user.')
        found.add(trustee.address)
    return found


def _readdress(run: Run, mailbox: Mailbox) -> None:
    """Secondary addresses (`smtp:`); the primary one stays."""
    wanted = run.edits("EmailAddresses", [f"smtp:{alias}" for alias in mailbox.aliases])
    aliases = [text.partition(":")[2].lower() or text.lower() for text in wanted if not text.startswith("SMTP:")]
    for alias in aliases:
        owner = run.tenant.exchange.mailbox(alias)
        if owner is not None and owner is not mailbox:
            raise _taken("ProxyAddressExistsException", f'The proxy address "smtp:{alias}" is already being used.')
    mailbox.aliases = [alias for alias in aliases if alias != mailbox.address]


def _taken(kind: str, text: str) -> CmdletError:
    return CmdletError(400, "ExE0A2C4", f"Microsoft.Exchange.Data.Directory.{kind}", text)


def _kind(mailbox: Mailbox) -> str:
    return "SharedMailbox" if mailbox.shared else "UserMailbox"


def _shown(mailbox: Mailbox) -> Row:
    row: Row = {
        "Alias": mailbox.alias,
        "DisplayName": mailbox.name,
        "DistinguishedName": distinguished_name(mailbox.alias),
        "EmailAddresses": [f"SMTP:{mailbox.address}", *(f"smtp:{alias}" for alias in mailbox.aliases)],
        "ExternalDirectoryObjectId": mailbox.user_id,
        "GrantSendOnBehalfTo": sorted(mailbox.send_on_behalf),
        "Guid": guid(mailbox),
        "Id": mailbox.alias,
        "Identity": mailbox.alias,
        "IsShared": mailbox.shared,
        "Name": mailbox.name,
        "PrimarySmtpAddress": mailbox.address,
        "RecipientTypeDetails": _kind(mailbox),
        "UserPrincipalName": mailbox.address,
    }
    return row | {name: mailbox.attributes.get(name.lower(), "") for name in _ATTRIBUTES}
