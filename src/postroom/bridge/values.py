"""A listener as a plain value: what people say of one port, and what its connections go by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MEGABYTE = 1024 * 1024


class Mode(StrEnum):
    """How a port is protected."""

    STARTTLS = "starttls"
    """In clear until STARTTLS, without which nothing is taken (RFC 3207)."""
    TLS = "tls"
    """TLS from the first byte (RFC 8314)."""
    PLAIN = "plain"
    """In clear; for named networks only."""


class Prompts(StrEnum):
    """What AUTH LOGIN asks. It was never standardised, and old devices look for the very words."""

    COMMON = "common"
    DRAFT = "draft"

    @property
    def words(self) -> tuple[str, str]:
        """For the user name and for the secret."""
        if self is Prompts.DRAFT:  # draft-murchison-sasl-login-00
            return "User Name\0", "Password\0"
        return "Username:", "Password:"


TLS_VERSIONS = ("1.0", "1.1", "1.2", "1.3")


@dataclass(frozen=True, slots=True)
class ListenerData:
    """One port. Everything from `tls_minimum` on is an exception for old devices, shown loudly where it is used."""

    name: str
    address: str = "127.0.0.1"
    port: int = 2525
    mode: str = Mode.STARTTLS
    enabled: bool = True
    hostname: str = ""
    """What it calls itself; the machine's name when empty."""
    certificate: str = ""
    """PEM file with the chain; empty: made here, which programs must be told to trust."""
    key: str = ""
    """PEM file of the private key; empty: in the file of the certificate."""
    networks: tuple[str, ...] = ()
    """Who may connect; empty: anybody. A plain port needs some."""
    proxies: tuple[str, ...] = ()
    """Proxies from which a PROXY header is wanted and believed."""
    message_size: int = 35 * MEGABYTE
    """Bytes."""
    recipients: int = 500
    """Of one message."""
    connections: int = 500
    connections_each: int = 50
    """From one address."""
    tls_minimum: str = "1.2"
    open_networks: tuple[str, ...] = ()
    """Networks that need not sign in; they send through `open_mailbox` only."""
    open_mailbox: int | None = None
    open_senders: tuple[str, ...] = ()
    """Addresses that they may send as; empty: those of the mailbox."""
    login_prompts: str = Prompts.COMMON
    fill_in_to: bool = False
    """A message with neither To nor Cc gets a To that names the recipients."""
    mend_names: bool = False
    """An @ in the display name of From becomes " at "."""
    longest_line: int = 998
    """Bytes of one line of a message, without CRLF (RFC 5322 section 2.1.1)."""
