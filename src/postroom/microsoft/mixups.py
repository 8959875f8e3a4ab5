"""Mix-ups that can be seen at entry, before anything is tried. Pure; each finding names field, fault and fix.

From what people ask about most (reference rows M9, M10, X2).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from postroom.microsoft.clouds import Cloud
from postroom.microsoft.ids import is_guid, is_secret_id, is_tenant

_TLS_FROM_THE_START = {465: "SMTP", 993: "IMAP", 995: "POP3"}
"""RFC 8314 section 7.3 and IANA: ports on which TLS comes before the first word."""
_PLAIN_FIRST = {25: "SMTP", 587: "SMTP", 143: "IMAP", 110: "POP3"}
_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
_GUIDS: Mapping[str, str] = MappingProxyType(
    {
        "client_id": "Application (client) ID",
        "object_id": "App registration's Object ID",
        "service_principal_id": "Enterprise application's Object ID",
    }
)
_WHERE_THE_OBJECT_ID_IS = (
    "copy the Object ID from Entra admin center > Enterprise applications > (the application) > Overview"
)


Server = tuple[str, int, str]
"""Host, port, security ("tls", "starttls" or "none")."""


@dataclass(frozen=True, slots=True)
class Mixup:
    """Something that is most likely not what was meant."""

    field: str
    fault: str
    fix: str

    def __str__(self) -> str:
        return f"{self.fault}; {self.fix}"


def check_mailbox(
    *,
    tenant: str = "",
    client_id: str = "",
    object_id: str = "",
    service_principal_id: str = "",
    smtp: Server | None = None,
    incoming: Server | None = None,
    read_by: str = "imap",
    cloud: Cloud | None = None,
) -> list[Mixup]:
    """All of the below for one mailbox; a server is (host, port, security), `read_by` is "imap" or "pop3"."""
    found = check_application(tenant, client_id, object_id, service_principal_id)
    for field, server, protocol in (("smtp_host", smtp, "smtp"), ("incoming_host", incoming, read_by)):
        if server is not None:
            found += check_server(field, *server, protocol, cloud)
    return found


def check_application(tenant: str, client_id: str, object_id: str = "", service_principal_id: str = "") -> list[Mixup]:
    """The ids of an application: form, stray characters, and the three that are easily confused."""
    ids = {"client_id": client_id, "object_id": object_id, "service_principal_id": service_principal_id}
    found = [mixup for field, value in {"tenant": tenant, **ids}.items() for mixup in stray_characters(field, value)]
    clean = {field: value.strip().lower() for field, value in ids.items()}
    if tenant and not is_tenant(tenant.strip()):
        found.append(_not_a_tenant(tenant.strip()))
    for field, value in clean.items():
        if value and not is_guid(value):
            found.append(
                Mixup(field, f"{_GUIDS[field]} is not a GUID", "copy it with the button beside it in the portal")
            )
    return found + list(_same_ids(tenant.strip().lower(), clean))


def _not_a_tenant(tenant: str) -> Mixup:
    if tenant.lower() in {"common", "organizations", "consumers"}:
        return Mixup("tenant", f'"{tenant}" is for people who sign in', "give the Directory (tenant) ID of your tenant")
    return Mixup(
        "tenant",
        f'"{tenant}" is neither a GUID nor a domain',
        "give the Directory (tenant) ID, or a domain such as contoso.onmicrosoft.com",
    )


def _same_ids(tenant: str, ids: Mapping[str, str]) -> Iterator[Mixup]:
    principal = ids["service_principal_id"]
    if principal and principal == ids["object_id"]:
        yield Mixup("service_principal_id", "this is the App registration's Object ID", _WHERE_THE_OBJECT_ID_IS)
    if principal and principal == ids["client_id"]:
        yield Mixup("service_principal_id", "this is the Application (client) ID", _WHERE_THE_OBJECT_ID_IS)
    if ids["object_id"] and ids["object_id"] == ids["client_id"]:
        yield Mixup(
            "object_id",
            "this is the Application (client) ID",
            "copy Object ID from the App registration, or leave it empty",
        )
    for field, value in ids.items():
        if value and value == tenant:
            yield Mixup(field, "this is the Directory (tenant) ID", f"copy the {_GUIDS[field]}, which stands beside it")


def check_secret(value: str, ids: Iterable[str] = ()) -> list[Mixup]:
    """A client secret as it was pasted; `ids` are those of the application. The findings never repeat the value."""
    found = list(stray_characters("secret", value, show=False))
    if is_secret_id(value):
        known = value.strip().lower() in {one.lower() for one in ids if one}
        what = "one of the application's ids" if known else "the Secret ID"
        found.append(
            Mixup(
                "secret",
                f"this is a GUID: {what}, not the secret",
                "copy the column Value; it is shown only once, so make a new secret if it is gone",
            )
        )
    return found


def check_server(
    field: str, host: str, port: int, security: str, protocol: str, cloud: Cloud | None = None
) -> list[Mixup]:
    """A server as it was typed. `protocol` is "smtp", "imap" or "pop3"; `security` is "tls", "starttls" or "none".

    Findings about the port are for the field with `_port` in place of `_host`.
    """
    found = list(stray_characters(field, host))
    name = host.strip().lower()
    found += _wrong_host(field, name, protocol, cloud)
    return found + list(_wrong_port(field.replace("_host", "_port"), port, security, protocol))


def _wrong_host(field: str, name: str, protocol: str, cloud: Cloud | None) -> list[Mixup]:
    """Microsoft has one name for sending and another for reading (facts 1.5), and each refuses the other's work."""
    sends = {"smtp.office365.com", cloud.smtp_host if cloud else ""}
    reads = {"outlook.office365.com", cloud.imap_host if cloud else "", cloud.pop_host if cloud else ""}
    both = sends & reads
    if protocol == "smtp" and name in reads - both:
        right = cloud.smtp_host if cloud else "smtp.office365.com"
        return [Mixup(field, f"{name} is the server for reading", f"for sending write {right}")]
    if protocol != "smtp" and name in sends - both:
        right = (cloud.imap_host if protocol == "imap" else cloud.pop_host) if cloud else "outlook.office365.com"
        return [Mixup(field, f"{name} is the server for sending", f"for reading write {right}")]
    return []


def _wrong_port(field: str, port: int, security: str, protocol: str) -> Iterator[Mixup]:
    speaks = _TLS_FROM_THE_START.get(port) or _PLAIN_FIRST.get(port)
    if speaks and speaks.lower() != protocol:
        yield Mixup(field, f"port {port} is for {speaks}", f"write the port for {protocol.upper()}")
    elif port in _TLS_FROM_THE_START and security != "tls":
        yield Mixup(
            field, f"port {port} speaks TLS from the first byte", "choose TLS, or a port for STARTTLS such as 587"
        )
    elif port in _PLAIN_FIRST and security == "tls":
        yield Mixup(
            field, f"port {port} begins in the clear and turns to TLS", "choose STARTTLS, or a port for TLS such as 465"
        )


def stray_characters(field: str, value: str, *, show: bool = True) -> Iterator[Mixup]:
    """Blanks at the ends or inside, invisible characters, and dashes that are no hyphen, as copying brings them.

    `show=False` keeps the position and the characters around out of the finding.
    """
    if value != value.strip():
        yield Mixup(field, "it begins or ends with a blank", "remove the blank")
    inner = value.strip()
    odd = next((char for char in inner if unicodedata.category(char) in {"Cf", "Cc", "Zs", "Zl", "Zp"}), None)
    if odd is not None:
        where = f" at character {inner.index(odd) + 1}" if show else ""
        yield Mixup(field, f"it holds {_name(odd)}{where}", "type it anew, or paste it as plain text")
    if any(char in _DASHES for char in inner):
        yield Mixup(field, "it holds a dash in place of a hyphen", "replace the dash by the hyphen of the keyboard (-)")


def _name(char: str) -> str:
    return (
        "a blank" if char == " " else f"an invisible character ({unicodedata.name(char, f'U+{ord(char):04X}').lower()})"
    )
