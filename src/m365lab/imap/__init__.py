"""Exchange Online's IMAP4 server, outlook.office365.com:993, on Twisted's.

Twisted serves the connection, the grammar and the states; the files here give it what Exchange has and it lacks
(XOAUTH2 with SASL-IR, UIDPLUS, MOVE, ID, UNSELECT, LITERAL+), exact bytes, and Exchange's words.
"""

from __future__ import annotations

from pathlib import Path

from m365lab.imap.session import Session
from m365lab.post import PostOffice
from m365lab.reactor import TwistedListener, listen_tls
from m365lab.tenant import Tenant


def start_imap(
    tenant: Tenant,
    office: PostOffice,
    certificate_file: str | Path,
    key_file: str | Path,
    host: str = "127.0.0.1",
    port: int = 0,
) -> TwistedListener:
    """Listens with implicit TLS; must be called in the running loop. Port 0 takes any free one."""
    return listen_tls(lambda: Session(tenant), certificate_file, key_file, host, port)
