"""What an app credential may say, and what follows from it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from postroom.mail.addresses import BadAddress, parse

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


@dataclass(frozen=True, slots=True)
class AppData:
    """What a person says of one application."""

    name: str
    mailboxes: tuple[int, ...] | None = ()
    """None: all of them."""
    senders: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    messages_per_minute: int | None = None
    enabled: bool = True


def tidy(data: AppData) -> AppData:
    """Without stray blanks and repetitions; names and patterns in lower case."""
    return AppData(
        name=data.name.strip().lower(),
        mailboxes=None if data.mailboxes is None else tuple(sorted(set(data.mailboxes))),
        senders=_each_once(sender.lower() for sender in data.senders),
        networks=_each_once(data.networks),
        messages_per_minute=data.messages_per_minute,
        enabled=data.enabled,
    )


def is_name(text: str) -> bool:
    """Whether an app could be called so."""
    return _NAME.fullmatch(text) is not None


def judge(data: AppData) -> dict[str, list[str]]:
    """The faults of each field; empty when all is well."""
    found = {
        "name": []
        if is_name(data.name)
        else ["has characters that old devices cannot type; write 1 to 64 of a-z, 0-9 and . _ @ + -"],
        "mailboxes": [] if data.mailboxes != () else ["names none; choose at least one mailbox, or all of them"],
        "senders": [fault for sender in data.senders if (fault := sender_fault(sender))],
        "networks": network_faults(data.networks),
        "messages_per_minute": ["is zero; write a number above, or nothing for no limit"]
        if data.messages_per_minute == 0
        else [],
    }
    return {field: faults for field, faults in found.items() if faults}


def sender_fault(pattern: str) -> str:
    """Why this is no address and no pattern; empty when it is one."""
    if pattern == "*":
        return ""
    local, at, domain = pattern.rpartition("@")
    try:
        parse(f"{(local.replace('*', 'x') if local else '')}{at}{domain}", "senders")
    except BadAddress:
        return f"{pattern!r} is neither an address nor a pattern; write name@contoso.com, *@contoso.com, or *"
    if set(local) & set("?[]"):
        return f"{pattern!r} holds characters of other pattern languages; only * stands for anything"
    return ""


def network_faults(networks: Iterable[str]) -> list[str]:
    """The faults of networks in CIDR form."""
    faults = []
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            faults.append(f"{network!r} is not a network ({error}); write 10.1.2.0/24, or one address such as 10.1.2.3")
    return faults


def is_in(address: str, networks: Sequence[str]) -> bool:
    """Whether the IP address is in one of them; an IPv4 address in IPv6 clothes (`::ffff:10.1.2.3`) counts as IPv4."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    whole = [ip_network(network) for network in networks]
    return any((mapped or found) in network for network in whole)


def _each_once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
