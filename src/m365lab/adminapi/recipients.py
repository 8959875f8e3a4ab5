"""Get-Recipient: who an address, alias or name stands for. In the lab all recipients are mailboxes."""

from __future__ import annotations

from collections.abc import Iterator

from m365lab.adminapi.cmdlet import Row, Run, cmdlet
from m365lab.adminapi.identity import guid, mailbox_of
from m365lab.exchange import distinguished_name


@cmdlet("Get-Recipient", "Identity")
def get(run: Run) -> Iterator[Row]:
    mailbox = mailbox_of(run, run.needed("Identity"))
    yield {
        "Alias": mailbox.alias,
        "DisplayName": mailbox.name,
        "DistinguishedName": distinguished_name(mailbox.alias),
        "ExternalDirectoryObjectId": mailbox.user_id,
        "Guid": guid(mailbox),
        "Identity": mailbox.alias,
        "Name": mailbox.name,
        "PrimarySmtpAddress": mailbox.address,
        "RecipientType": "UserMailbox",
        "RecipientTypeDetails": "SharedMailbox" if mailbox.shared else "UserMailbox",
    }
