"""What a mailbox and a provider may look like, and what a mailbox comes to with its provider and cloud. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from postroom.mail.addresses import BadAddress, parse
from postroom.mailboxes.values import ConnectionData, Effective, Faults, MailboxData, ProviderData, Server
from postroom.microsoft.clouds import Cloud
from postroom.microsoft.mixups import check_mailbox

CHOICES = {
    "send_by": ("smtp", "graph", "none"),
    "read_by": ("imap", "pop3", "graph", "none"),
    "sign_in_by": ("oauth", "password", "none"),
    "smtp_security": ("tls", "starttls", "none"),
    "incoming_security": ("tls", "starttls", "none"),
}
_LIMITS = ("messages_per_minute", "recipients_per_day", "connections", "message_size")
_LENGTHS = {"name": 120, "display_name": 200, "subject_prefix": 80, "user_name": 254, "folder": 200, "proxy": 300}
_PORTS = {
    "smtp": {"tls": 465, "starttls": 587, "none": 25},
    "imap": {"tls": 993, "starttls": 143, "none": 143},
    "pop3": {"tls": 995, "starttls": 110, "none": 110},
}
"""IANA's ports, by protocol and security (RFC 8314)."""
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")

_Data = TypeVar("_Data", bound=ConnectionData)


def tidy(data: _Data) -> _Data:
    """Without blanks around the values: nobody means them, and they break ids and host names (X2)."""
    changed: dict[str, Any] = {}
    for field in fields(data):
        value = getattr(data, field.name)
        if isinstance(value, str) and field.name != "subject_prefix":
            changed[field.name] = value.strip()
        elif isinstance(value, list | tuple):
            changed[field.name] = tuple(filter(None, (str(item).strip() for item in value)))
        else:
            changed[field.name] = value
    return type(data)(**changed)


def judge_provider(data: ProviderData) -> Faults:
    """What is wrong with it, by field; empty when nothing is."""
    faults = _Faults()
    _judge_texts(data, faults)
    _judge_connection(data, faults)
    if not data.name.strip():
        faults.add("name", "is empty; give the provider a name")
    if not data.can_read and data.read_by not in {"", "none"}:
        faults.add("read_by", "a provider that only sends cannot read; choose 'does not read' or tick 'can read'")
    return faults.found


def judge_mailbox(data: MailboxData, provider: ProviderData, clouds: Mapping[str, Cloud]) -> Faults:
    """What is wrong with it, by field; empty when nothing is. `data` is tidy."""
    faults = _Faults()
    _judge_texts(data, faults)
    _judge_connection(data, faults)
    _judge_addresses(data, faults)
    _judge_proxy(data.proxy, faults)
    if data.cloud not in clouds:
        faults.add("cloud", f"{data.cloud!r} is not a cloud known here; choose one of: {', '.join(clouds)}")
    if faults.found:
        return faults.found
    whole = effective(data, provider, clouds[data.cloud])
    _judge_directions(data, provider, whole, faults)
    _judge_servers(whole, faults)
    _judge_application(data, whole.sign_in_by, faults)
    _judge_mixups(data, whole, faults)
    return faults.found


def effective(data: MailboxData, provider: ProviderData, cloud: Cloud | None) -> Effective:
    """The mailbox with everything filled in: its own value, else the provider's, else the cloud's."""
    chosen = {name: getattr(data, name) or getattr(provider, name) for name in CHOICES}
    send_by = chosen["send_by"] or "smtp"
    read_by = chosen["read_by"] or "none"
    uses_cloud = cloud if provider.uses_cloud else None
    return Effective(
        name=data.name,
        address=data.address,
        display_name=data.display_name,
        sender=data.default_sender or data.address,
        subject_prefix=data.subject_prefix,
        copies_to=tuple(data.copies_to),
        send_by=send_by,
        read_by=read_by if data.read_inbox else "none",
        sign_in_by=chosen["sign_in_by"] or "none",
        smtp=_smtp(data, provider, uses_cloud, chosen["smtp_security"]) if send_by == "smtp" else None,
        incoming=_incoming(data, provider, uses_cloud, chosen["incoming_security"], read_by),
        user_name=data.user_name or provider.user_name or data.address,
        folder=data.folder or "INBOX",
        save_to_sent=data.save_to_sent,
        proxy=data.proxy,
        cloud=cloud if provider.uses_cloud or chosen["sign_in_by"] == "oauth" else None,
        tenant=data.tenant,
        client_id=data.client_id,
        object_id=data.object_id,
        service_principal_id=data.service_principal_id,
        **{name: getattr(data, name) or getattr(provider, name) for name in _LIMITS},
    )


def needed_roles(by: str, *, to_send: bool) -> tuple[str, ...]:
    """The application permissions that a token needs to send or read `by` this protocol (facts 1.2 and 2)."""
    return {
        "smtp": ("SMTP.SendAsApp",),
        "imap": ("IMAP.AccessAsApp",),
        "pop3": ("POP.AccessAsApp",),
        "graph": ("Mail.Send",) if to_send else ("Mail.Read",),
    }.get(by, ())


class _Faults:
    """Collects sentences by field."""

    def __init__(self) -> None:
        self.found: Faults = {}

    def add(self, field: str, sentence: str) -> None:
        said = self.found.setdefault(field, [])
        if sentence not in said:
            said.append(sentence)


def _smtp(data: MailboxData, provider: ProviderData, cloud: Cloud | None, security: str) -> Server:
    host = data.smtp_host or provider.smtp_host or (cloud.smtp_host if cloud else "")
    preset = cloud.smtp_port if cloud and host == cloud.smtp_host else None
    security = security or "starttls"
    return Server(host, data.smtp_port or provider.smtp_port or preset or _PORTS["smtp"][security], security)


def _incoming(
    data: MailboxData, provider: ProviderData, cloud: Cloud | None, security: str, read_by: str
) -> Server | None:
    if read_by not in {"imap", "pop3"}:
        return None
    clouds_own, preset = "", None
    if cloud:
        clouds_own = cloud.imap_host if read_by == "imap" else cloud.pop_host
        preset = cloud.imap_port if read_by == "imap" else cloud.pop_port
    host = data.incoming_host or provider.incoming_host or clouds_own
    security = security or "tls"
    # A preset port belongs to the preset protocol: an IMAP port is no use to POP3.
    port = data.incoming_port or (provider.incoming_port if provider.read_by == read_by else None)
    return Server(host, port or (preset if host == clouds_own else None) or _PORTS[read_by][security], security)


def _judge_texts(data: ConnectionData, faults: _Faults) -> None:
    for field in fields(data):
        value = getattr(data, field.name)
        if not isinstance(value, str):
            continue
        if _CONTROL.search(value) and field.name != "description":
            faults.add(field.name, "holds a line break or another control character; type it on one line")
        if len(value) > _LENGTHS.get(field.name, 2000):
            faults.add(field.name, f"is longer than {_LENGTHS.get(field.name, 2000)} characters; shorten it")


def _judge_connection(data: ConnectionData, faults: _Faults) -> None:
    for name, choices in CHOICES.items():
        if getattr(data, name) not in ("", *choices):
            faults.add(name, f"{getattr(data, name)!r} is not known; choose one of: {', '.join(choices)}")
    for name in ("smtp_host", "incoming_host"):
        _judge_host(name, getattr(data, name), faults)
    for name in ("smtp_port", "incoming_port"):
        port = getattr(data, name)
        if port is not None and not 1 <= port <= 65535:
            faults.add(name, f"{port} is not a port; write a number from 1 to 65535")
    for name in _LIMITS:
        limit = getattr(data, name)
        if limit is not None and limit < 1:
            faults.add(name, "must be 1 or more; leave it empty for the provider's limit")


def _judge_host(name: str, host: str, faults: _Faults) -> None:
    if not host or is_ip(host):
        return
    if "://" in host or "/" in host:
        faults.add(name, f"{host!r} is an address of the web; write the host name alone, such as smtp.example.org")
    elif re.fullmatch(r".+:\d+", host):
        faults.add(name, f"{host!r} holds a port; write the host name here and the port in its own field")
    elif "@" in host:
        faults.add(name, f"{host!r} is a mail address; write the name of the server")
    elif not _HOST.fullmatch(_ascii(host)) or len(host) > 253:
        faults.add(name, f"{host!r} is not a host name (RFC 1123); write something like smtp.example.org")


def is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    return host.rstrip(".").lower() == "localhost" or (is_ip(host) and ip_address(host).is_loopback)


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _judge_addresses(data: MailboxData, faults: _Faults) -> None:
    if not data.name:
        faults.add("name", "is empty; give the mailbox a name")
    if not data.address:
        faults.add("address", "is empty; write the address of the mailbox, for a shared mailbox its own")
    given: Iterable[tuple[str, str]] = [
        ("address", data.address),
        ("default_sender", data.default_sender),
        *(("copies_to", copy) for copy in data.copies_to),
    ]
    for name, address in given:
        if address:
            _judge_address(name, address, faults)


def _judge_address(name: str, address: str, faults: _Faults) -> None:
    try:
        parsed = parse(address, name)
    except BadAddress as error:
        faults.add(name, str(error).removeprefix(f"{name}: "))
        return
    if parsed.name:
        faults.add(name, f"{address!r} holds a name; write the bare address {parsed.mailbox}")


def _judge_proxy(proxy: str, faults: _Faults) -> None:
    if not proxy:
        return
    try:
        parts = urlsplit(proxy)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "socks4", "socks5"} or not parts.hostname or port is None:
        faults.add("proxy", "cannot be understood; write http://host:port, socks4://host:port or socks5://host:port")
    if parts.password:
        faults.add("proxy", "holds a password, which would be shown; put this proxy into POSTROOM_PROXY instead")


def _judge_directions(data: MailboxData, provider: ProviderData, whole: Effective, faults: _Faults) -> None:
    read_by = data.read_by or provider.read_by
    if not provider.can_read and (data.read_inbox or data.read_by not in {"", "none"}):
        faults.add("read_inbox", f"{provider.name} only sends, so reading cannot be switched on; switch it off")
    elif data.read_inbox and read_by in {"", "none"}:
        faults.add("read_inbox", "is on, but the mailbox does not read; choose IMAP, POP3 or Graph, or switch it off")
    if whole.send_by == "none" and whole.read_by == "none":
        faults.add("send_by", "the mailbox neither sends nor reads; choose at least one")
    if "graph" in {whole.send_by, whole.read_by} and whole.sign_in_by != "oauth":
        faults.add("sign_in_by", "Microsoft Graph takes OAuth only; choose OAuth 2.0 client credentials")


def _judge_servers(whole: Effective, faults: _Faults) -> None:
    for prefix, server in (("smtp", whole.smtp), ("incoming", _read_from(whole))):
        if server is None:
            continue
        if not server.host:
            faults.add(f"{prefix}_host", "is empty, and the provider presets none; write the name of the server")
        elif server.security == "none" and whole.sign_in_by != "none" and not is_loopback(server.host):
            faults.add(
                f"{prefix}_security",
                "without TLS everybody on the way could read the password or token; choose STARTTLS or TLS",
            )


def _read_from(whole: Effective) -> Server | None:
    """The server for reading, when reading is on and has one."""
    return whole.incoming if whole.read_by in {"imap", "pop3"} else None


def _judge_mixups(data: MailboxData, whole: Effective, faults: _Faults) -> None:
    servers = [
        (server.host, server.port, server.security) if server and server.host else None
        for server in (whole.smtp, _read_from(whole))
    ]
    for mixup in check_mailbox(
        tenant=data.tenant,
        client_id=data.client_id,
        object_id=data.object_id,
        service_principal_id=data.service_principal_id,
        smtp=servers[0],
        incoming=servers[1],
        read_by=whole.read_by,
        cloud=whole.cloud,
    ):
        faults.add(mixup.field, str(mixup))


def _judge_application(data: MailboxData, sign_in_by: str, faults: _Faults) -> None:
    needed = sign_in_by == "oauth" or data.tenant or data.client_id
    if needed and not data.tenant:
        faults.add("tenant", "is empty; copy 'Directory (tenant) ID' from the App registration's Overview page")
    if needed and not data.client_id:
        faults.add("client_id", "is empty; copy 'Application (client) ID' from the App registration's Overview page")
