"""What a listener may be, and what deserves a warning. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from postroom.accounts.app_rules import is_in, network_faults, sender_fault
from postroom.bridge.values import TLS_VERSIONS, ListenerData, Mode, Prompts

_LOOPBACK = ("127.0.0.0/8", "::1/128")
_WIDEST = {4: 8, 6: 32}
"""A network wider than this names nobody: 10.0.0.0/8 is the widest private one."""

Faults = dict[str, list[str]]


def tidy(data: ListenerData) -> ListenerData:
    """Without stray blanks; a plain port on loopback is for loopback when nothing else is said."""
    lists: dict[str, Any] = {
        field: tuple(dict.fromkeys(word.strip() for word in getattr(data, field) if word.strip()))
        for field in ("networks", "proxies", "open_networks", "open_senders")
    }
    words = ("name", "address", "hostname", "certificate", "key")
    texts: dict[str, Any] = {field: getattr(data, field).strip() for field in words}
    data = replace(data, **lists, **texts)
    if data.mode == Mode.PLAIN and not data.networks and is_loopback(data.address):
        data = replace(data, networks=_LOOPBACK)
    return data


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches it."""
    return is_in(address, _LOOPBACK)


def judge(data: ListenerData, mailboxes: Collection[int]) -> Faults:
    """The faults of each field; `mailboxes` are the ids that exist."""
    found = {
        "name": [] if data.name else ["is empty; give the port a name, such as printers"],
        "address": _address_faults(data.address),
        "port": [] if 0 < data.port < 65536 else ["is no port; write a number from 1 to 65535, such as 2525"],
        "mode": [] if data.mode in list(Mode) else [f"is none of {', '.join(Mode)}"],
        "tls_minimum": [] if data.tls_minimum in TLS_VERSIONS else [f"is none of {', '.join(TLS_VERSIONS)}"],
        "login_prompts": [] if data.login_prompts in list(Prompts) else [f"is none of {', '.join(Prompts)}"],
        "networks": network_faults(data.networks) or _plain_faults(data),
        "proxies": network_faults(data.proxies) or _proxy_faults(data),
        "open_networks": network_faults(data.open_networks) or _open_faults(data),
        "open_mailbox": _open_mailbox_faults(data, mailboxes),
        "open_senders": [fault for sender in data.open_senders if (fault := sender_fault(sender))],
    }
    for field in ("message_size", "recipients", "connections", "connections_each", "longest_line"):
        found[field] = [] if getattr(data, field) > 0 else ["is zero; write a number above"]
    return {field: faults for field, faults in found.items() if faults}


def warnings(data: ListenerData) -> list[str]:
    """What is unusual and weakens the port: one sentence each, for console, command line and log."""
    said = []
    if not is_loopback(data.address):
        whom = ", ".join(data.networks) or "anybody who can reach this machine"
        said.append(f"Listens on {data.address}: open to {whom}.")
    if data.mode == Mode.PLAIN:
        said.append("No TLS: secrets and messages cross the network in clear.")
    if data.mode != Mode.PLAIN and not data.certificate:
        said.append("The certificate is made by Postroom itself: programs must be told to trust it.")
    if data.mode != Mode.PLAIN and data.tls_minimum in ("1.0", "1.1"):
        said.append(f"TLS {data.tls_minimum} is taken (RFC 8996 forbids it); whoever listens in may read along.")
    if data.open_networks:
        said.append(f"No sign-in from {', '.join(data.open_networks)}: whoever is there can send.")
    if data.login_prompts != Prompts.COMMON:
        said.append("AUTH LOGIN asks in the words of the old draft.")
    if data.fill_in_to:
        said.append("Messages without To get one: every recipient sees all the others.")
    if data.mend_names:
        said.append("Display names with @ are changed.")
    if data.longest_line > 998:
        said.append(f"Lines of up to {data.longest_line:,} bytes are taken; servers further on may cut or refuse them.")
    return said


def _address_faults(address: str) -> list[str]:
    try:
        ip_address(address)
    except ValueError:
        return [f"{address!r} is not an IP address; write 127.0.0.1 for this machine only, 0.0.0.0 for all interfaces"]
    return []


def _plain_faults(data: ListenerData) -> list[str]:
    if data.mode != Mode.PLAIN:
        return []
    if not data.networks:
        return ["is empty; a port without TLS is for named networks only: name them, such as 10.1.2.0/24"]
    return _too_wide(data.networks)


def _open_faults(data: ListenerData) -> list[str]:
    if data.open_networks and data.open_mailbox is None:
        return ["need a mailbox: choose the one that is used without sign-in"]
    return _too_wide(data.open_networks)


def _too_wide(networks: Collection[str]) -> list[str]:
    """Never an open relay: what needs no TLS or no sign-in is named, not just anybody."""
    return [
        f"{network} is too wide to name anybody; write the networks of your devices"
        for network in networks
        if (found := ip_network(network)).prefixlen < _WIDEST[found.version]
    ]


def _proxy_faults(data: ListenerData) -> list[str]:
    if data.proxies and data.mode == Mode.TLS:
        return ["do not go with TLS from the first byte: let the proxy do the TLS, or use STARTTLS"]
    return _too_wide(data.proxies)


def _open_mailbox_faults(data: ListenerData, mailboxes: Collection[int]) -> list[str]:
    if data.open_mailbox is not None and data.open_mailbox not in mailboxes:
        return ["is gone; choose another"]
    return []
