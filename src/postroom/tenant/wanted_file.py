"""The wanted state as YAML, both ways. What cannot be taken is told all at once, each with its line. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

import yaml

from postroom.core.faults import Invalid
from postroom.mail.addresses import BadAddress, parse
from postroom.microsoft.ids import is_guid, is_tenant
from postroom.tenant.wanted import (
    CredentialKind,
    ReadBy,
    Restriction,
    SendBy,
    Wanted,
    WantedCredential,
    WantedMailbox,
)

_Choice = TypeVar("_Choice", bound=StrEnum)

MOST_DAYS = 730
"""Microsoft's cap of a client secret's life: 24 months (facts 6)."""
_MOST_CHARACTERS = 200_000
_NAME_LENGTH = 64
"""New-Mailbox takes no longer name (facts 4.1)."""
_PEOPLE = ("members", "send_as", "send_on_behalf", "also_from")


def read(text: str) -> Wanted:
    """The wanted state that the YAML describes. Raises `Invalid`; each fault says its line."""
    if len(text) > _MOST_CHARACTERS:
        raise Invalid({"": [f"is longer than {_MOST_CHARACTERS} characters; split it into several set-ups"]})
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise Invalid({"": [f"{line}this is not YAML: {error.problem}; correct it"]}) from error
    except yaml.YAMLError as error:
        raise Invalid({"": [f"this is not YAML: {error}; correct it"]}) from error
    faults = _Faults()
    wanted = _wanted(_Table(node, "", faults)) if isinstance(node, yaml.MappingNode) else None
    if wanted is None:
        faults.add("", node, "is not a set of keys; begin with a line such as tenant: contoso.onmicrosoft.com")
    if faults.found or wanted is None:
        raise Invalid(faults.found)
    return wanted


def write(wanted: Wanted) -> str:
    """YAML that `read` turns into the same value; what has its default is left out."""
    data = _without_defaults(wanted, Wanted(tenant="", mailboxes=()))
    restrict = {"smtp": data.pop("restrict_smtp", None), "graph": data.pop("restrict_graph", None)}
    if restrict := {key: value for key, value in restrict.items() if value}:
        data["restrict"] = restrict
    for key in ("send", "read"):
        if key in data and not data[key]:
            data[key] = "none"
    if credential := data.pop("credential", None):
        data["credential"] = _without_defaults(wanted.credential, WantedCredential()) if credential else {}
    data["mailboxes"] = [_without_defaults(mailbox, WantedMailbox("")) for mailbox in wanted.mailboxes]
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


class _Faults:
    """Faults by field, each with its line."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, path: str, node: yaml.Node | None, sentence: str) -> None:
        line = f"line {node.start_mark.line + 1}: " if node is not None else ""
        self.found.setdefault(path, []).append(f"{line}{sentence}")


class _Table:
    """A YAML mapping that is read key by key, and knows which keys nobody asked for."""

    def __init__(self, node: yaml.MappingNode, path: str, faults: _Faults) -> None:
        self.node, self.path, self.faults = node, path, faults
        self.values: dict[str, yaml.Node] = {}
        self._asked: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in self.values:
                faults.add(self._at(name), key, "is given twice; keep one")
            self.values[name] = value

    def get(self, key: str) -> yaml.Node | None:
        """The value, or None when the key is missing or empty."""
        self._asked.add(key)
        node = self.values.get(key)
        empty = isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
        return None if empty else node

    def text(self, key: str, default: str = "") -> str:
        node = self.get(key)
        if node is None:
            return default
        if isinstance(node, yaml.ScalarNode):
            return str(node.value).strip()
        self.fault(key, "must be one text, not a list or a set of keys")
        return default

    def number(self, key: str, default: int, most: int) -> int:
        text = self.text(key, str(default))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
            self.fault(key, f"is {text!r}; write a whole number from 1 to {most}")
            return default
        return int(text)

    def flag(self, key: str) -> bool:
        text = self.text(key, "false").lower()
        if text not in {"true", "yes", "false", "no"}:
            self.fault(key, f"is {text!r}; write true or false")
        return text in {"true", "yes"}

    def texts(self, key: str) -> tuple[str, ...]:
        """A list, or one text for a list of one."""
        node = self.get(key)
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node] if node is not None else []
        if not all(isinstance(one, yaml.ScalarNode) for one in nodes):
            self.fault(key, "must be a list of texts, such as [imap, pop]")
            return ()
        return tuple(str(one.value).strip() for one in nodes)

    def choice(self, key: str, default: _Choice) -> _Choice:
        text = self.text(key, default)
        kind = type(default)
        if text not in list(kind):
            self.fault(key, f"is {text!r}; choose one of: {', '.join(kind)}")
            return default
        return kind(text)

    def choices(self, key: str, default: tuple[_Choice, ...]) -> tuple[_Choice, ...]:
        """Several choices; "none" alone for no choice at all."""
        if self.get(key) is None:
            return default
        kind, texts = type(default[0]), self.texts(key)
        if texts == ("none",):
            return ()
        if bad := [text for text in texts if text not in list(kind)]:
            self.fault(key, f"has {bad[0]!r}; choose of: {', '.join(kind)}, or none")
            return default
        return tuple(dict.fromkeys(kind(text) for text in texts))

    def addresses(self, key: str) -> tuple[str, ...]:
        return tuple(address for text in self.texts(key) if (address := self._address(key, text)))

    def address(self, key: str) -> str:
        text = self.text(key)
        if not text:
            self.fault(key, "is missing; write the address of the mailbox")
            return ""
        return self._address(key, text)

    def fault(self, key: str, sentence: str) -> None:
        self.faults.add(self._at(key), self.values.get(key, self.node), sentence)

    def nothing_else(self) -> None:
        """Faults for keys that mean nothing, so that a slip of the pen is not taken for a default."""
        for key in self.values:
            if key not in self._asked:
                near = get_close_matches(key, self._asked, 1)
                guess = f"did you mean {near[0]}?" if near else f"known are: {', '.join(sorted(self._asked))}"
                self.fault(key, f"is not a key here; {guess}")

    def _address(self, key: str, text: str) -> str:
        try:
            return parse(text).mailbox.lower()
        except BadAddress as error:
            self.fault(key, str(error).removeprefix("address: "))
            return ""

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def _wanted(table: _Table) -> Wanted:
    restrict = _inner(table, "restrict")
    wanted = Wanted(
        tenant=_tenant(table),
        mailboxes=tuple(_mailboxes(table)),
        name=table.text("name"),
        cloud=table.text("cloud", "global"),
        application=_short(table, "application", table.text("application", "Postroom")),
        country=_country(table),
        client_id=_client_id(table),
        credential=_credential(table),
        send=table.choices("send", (SendBy.SMTP,)),
        read=table.choices("read", (ReadBy.IMAP,)),
        restrict_smtp=restrict.choice("smtp", Restriction.GRANT),
        restrict_graph=restrict.choice("graph", Restriction.SCOPE),
    )
    restrict.nothing_else()
    table.nothing_else()
    _whole(table, restrict, wanted)
    return wanted


def _whole(table: _Table, restrict: _Table, wanted: Wanted) -> None:
    """What only shows when all is read."""
    if not wanted.send and not wanted.read:
        table.fault("send", "and read are both none; let the mailboxes send, read, or both")
    if wanted.restrict_smtp is Restriction.NONE:
        restrict.fault("smtp", "cannot be none: SMTP always needs a right on the mailbox; choose grant or scope")
    if wanted.restrict_graph is Restriction.GRANT:
        restrict.fault("graph", "cannot be grant: Graph asks for no right on the mailbox; choose scope or none")
    seen: set[str] = set()
    for mailbox in wanted.mailboxes:
        if mailbox.address in seen:
            table.fault("mailboxes", f"has {mailbox.address} twice; keep one")
        seen.add(mailbox.address)


def _tenant(table: _Table) -> str:
    tenant = table.text("tenant")
    if not tenant:
        table.fault("tenant", "is missing; write the tenant's id or a domain of it, such as contoso.onmicrosoft.com")
    elif not is_tenant(tenant):
        table.fault("tenant", f"is {tenant!r}; write a GUID, or a domain such as contoso.onmicrosoft.com")
    return tenant.lower()


def _country(table: _Table) -> str:
    country = table.text("country").upper()
    if country and not re.fullmatch(r"[A-Z]{2}", country):
        table.fault("country", f"is {country!r}; write the two letters of ISO 3166, such as DE")
    return country


def _client_id(table: _Table) -> str:
    client_id = table.text("client_id").lower()
    if client_id and not is_guid(client_id):
        table.fault("client_id", "is not a GUID; copy 'Application (client) ID' from the App registration")
    return client_id


def _credential(table: _Table) -> WantedCredential:
    node = table.get("credential")
    if isinstance(node, yaml.MappingNode):
        inner = _Table(node, "credential", table.faults)
        found = WantedCredential(
            kind=inner.choice("kind", CredentialKind.SECRET),
            days=inner.number("days", WantedCredential().days, MOST_DAYS),
            issuer=inner.text("issuer"),
            subject=inner.text("subject"),
            token_file=inner.text("token_file"),
        )
        inner.nothing_else()
    else:
        found = WantedCredential(table.choice("credential", CredentialKind.SECRET))
    if found.kind is CredentialKind.FEDERATED and not (found.issuer and found.subject and found.token_file):
        table.fault("credential", "needs issuer, subject and token_file to be federated; write them below credential:")
    return found


def _mailboxes(table: _Table) -> Iterator[WantedMailbox]:
    node = table.get("mailboxes")
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        table.fault("mailboxes", "is missing or empty; list at least one, such as - address: mail@contoso.com")
        return
    for number, one in enumerate(node.value):
        inner = _Table(_as_mapping(one), f"mailboxes[{number}]", table.faults)
        name = inner.text("name")
        people = {key: inner.addresses(key) for key in _PEOPLE}
        address = inner.address("address")
        yield WantedMailbox(
            address=address,
            name=_short(inner, "name", name),
            shared=inner.flag("shared"),
            licence=inner.text("licence"),
            **people,
        )
        inner.nothing_else()


def _as_mapping(node: yaml.Node) -> yaml.MappingNode:
    """An address alone stands for the mailbox of a user."""
    if isinstance(node, yaml.MappingNode):
        return node
    key = yaml.ScalarNode("tag:yaml.org,2002:str", "address", node.start_mark, node.end_mark)
    return yaml.MappingNode("tag:yaml.org,2002:map", [(key, node)], node.start_mark, node.end_mark)


def _short(table: _Table, key: str, text: str) -> str:
    if len(text) > _NAME_LENGTH:
        table.fault(key, f"is longer than {_NAME_LENGTH} characters; shorten it")
    if any(ord(character) < 32 for character in text):
        table.fault(key, "holds a line break or another control character; write it on one line")
    return text


def _inner(table: _Table, key: str) -> _Table:
    """The mapping under `key`; an empty one when there is none."""
    node = table.get(key)
    if isinstance(node, yaml.MappingNode):
        return _Table(node, key, table.faults)
    if node is not None:
        table.fault(key, "must be a set of keys, such as {smtp: grant, graph: scope}")
    return _Table(yaml.MappingNode("tag:yaml.org,2002:map", [], table.node.start_mark), key, table.faults)


def _without_defaults(value: Any, default: Any) -> dict[str, Any]:
    return {
        one.name: _plain(now)
        for one in fields(value)
        if (now := getattr(value, one.name)) != getattr(default, one.name)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if not isinstance(value, Mapping) else dict(value)
