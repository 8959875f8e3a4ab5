"""A stored password belongs to the servers and the user that it was given for: pointed elsewhere, it is dropped.

Else whoever may change a mailbox, and may see no password, could have it sent to a server of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from postroom.accounts.audit import Actor
from postroom.mailboxes import credentials
from postroom.mailboxes.known_clouds import known_clouds
from postroom.mailboxes.models import Mailbox
from postroom.mailboxes.rules import effective
from postroom.mailboxes.values import ConnectionData, MailboxData, ProviderData, Server

REMOVED = (
    "The stored password was removed: with the new settings it would go to another server, or sign in another user."
    " Enter it again under Credentials (postroom credential add)."
)
"""For the person who changed the settings."""
_WHY = "with the new settings it would go to another server, or sign in another user"

Tell = Callable[[str], object]
"""Is told what a person must know of a change, beside that it was made."""


def nobody(sentence: str) -> None:
    """Tells nobody."""


def goes_to(mailbox: Mailbox, provider: ProviderData) -> frozenset[tuple[Server, str]]:
    """Each server that the mailbox would sign in to with a password, and the user name; whatever is switched off."""
    same = ("address", "user_name", *(field.name for field in fields(ConnectionData)))
    cloud = mailbox.application.cloud if mailbox.application else "global"
    data = MailboxData(name=mailbox.name, **{name: getattr(mailbox, name) for name in same})
    whole = effective(data, provider, known_clouds().get(cloud))
    return frozenset(
        (Server(server.host.lower(), server.port, server.security), whole.user_name)
        for server in (whole.smtp, whole.incoming)
        if server is not None
    )


def drop_if_elsewhere(
    mailbox: Mailbox, before: frozenset[tuple[Server, str]], provider: ProviderData, by: Actor
) -> bool:
    """Drops the password when it would now go anywhere that is not in `before`. True when there was one to drop."""
    if goes_to(mailbox, provider) <= before:
        return False
    return credentials.drop_password(mailbox, _WHY, by)
