"""Exchange Online's POP3 server, outlook.office365.com:995, on Twisted's."""

from __future__ import annotations

from pathlib import Path

from m365lab.post import PostOffice
from m365lab.reactor import TwistedListener, listen_tls, reactor
from m365lab.tenant import Tenant


def start_pop3(
    tenant: Tenant,
    office: PostOffice,
    certificate_file: str | Path,
    key_file: str | Path,
    host: str = "127.0.0.1",
    port: int = 0,
) -> TwistedListener:
    """Listens with implicit TLS; must be called in the running loop. Port 0 takes any free one."""
    # Twisted's POP3 asks for a reactor as soon as it is imported: ours must be there first.
    reactor()
    from m365lab.pop3_session import Session

    return listen_tls(lambda: Session(tenant), certificate_file, key_file, host, port)
