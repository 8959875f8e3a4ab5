"""National clouds: hosts, ports and resource ids, as data that an administrator can add to.

The shipped ones are in `data/clouds.toml` (facts 1.6). Each further `*.toml` file of a directory holds one or more.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_SHIPPED = Path(__file__).with_name("data") / "clouds.toml"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ADDRESSES = ("authority", "graph", "exchange", "exchange_resource", "graph_resource")
_REQUIRED = ("title", "authority", "graph", "exchange", "smtp_host", "imap_host", "pop_host")
_PORTS = ("smtp_port", "imap_port", "pop_port")


class BadCloud(ValueError):
    """A cloud's description cannot be used; the message names file, key, fault and fix."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where one Microsoft cloud lives. Addresses are `https://host[:port]` without a path."""

    name: str
    title: str
    authority: str
    """Entra's sign-in address, without tenant."""
    graph: str
    """Microsoft Graph, without `/v1.0`."""
    exchange: str
    """Exchange administration (adminapi)."""
    smtp_host: str
    imap_host: str
    pop_host: str
    exchange_resource: str = "https://outlook.office365.com"
    """Resource id of Exchange: the scope of SMTP, IMAP and POP3 tokens is this and `/.default` (facts 1.2)."""
    graph_resource: str = "https://graph.microsoft.com"
    smtp_port: int = 587
    imap_port: int = 993
    pop_port: int = 995
    federation_audience: str = "api://AzureADTokenExchange"
    """Audience of a managed identity's token that serves as an application's credential."""
    ca_file: str = ""
    """PEM file of authorities to trust instead of the system's; relative to the file that names it."""
    authserv_id: str = ""
    """The name under which this cloud stamps Authentication-Results (RFC 8601), where it is known."""


def clouds(extra: Path | None = None) -> Mapping[str, Cloud]:
    """The shipped clouds, and those of every `*.toml` in the directory `extra` (which need not exist).

    Raises `BadCloud`.
    """
    found = dict(_shipped())
    for path in sorted(extra.glob("*.toml")) if extra else ():
        found.update(_read_once(path, *_version(path)))
    return found


def write_cloud(directory: Path, values: Mapping[str, str | int]) -> Path:
    """Adds the cloud `values["name"]` to `directory`, or replaces it; returns its file. Raises `BadCloud`."""
    table = dict(values)
    name = str(table.pop("name", ""))
    path = directory / f"{name}.toml"
    _cloud(path, name, table)
    lines = [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    directory.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(fresh, path)  # noqa: PTH105 - a reader sees the old file or the new one, never half
    return path


def _toml(value: str | int) -> str:
    """TOML's basic strings are JSON's but for DEL, which TOML wants escaped (TOML 1.0, "String")."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@cache
def _shipped() -> Mapping[str, Cloud]:
    return _read(_SHIPPED)


def _version(path: Path) -> tuple[int, int]:
    """What differs when the file was changed."""
    try:
        state = path.stat()
    except OSError:  # gone in this moment: reading it says so
        return 0, 0
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=64)
def _read_once(path: Path, changed_at: int, size: int) -> Mapping[str, Cloud]:
    """Each mailbox asks for its cloud, some of them many times a minute; the file changes once in a year."""
    return _read(path)


def _read(path: Path) -> dict[str, Cloud]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadCloud(f"{path}: cannot be read as TOML ({error}); correct it or remove the file") from error
    return {name: _cloud(path, name, table) for name, table in tables.items()}


def _cloud(path: Path, name: str, table: Any) -> Cloud:
    where = f"{path}: [{name}]"
    if not _NAME.fullmatch(name):
        raise BadCloud(f"{where}: the name must be of small letters, digits and hyphens, such as [contoso-lab]")
    if not isinstance(table, dict):
        raise BadCloud(f"{where}: is not a table; put the keys of a cloud below a line [{name}]")
    known = {field.name: field for field in fields(Cloud)}
    for key, value in table.items():
        _check(where, key, value, known)
    try:
        cloud = Cloud(name=name, **table)
    except TypeError:
        missing = ", ".join(key for key in _REQUIRED if key not in table)
        raise BadCloud(f"{where}: {missing} missing; add it, as in the shipped clouds") from None
    return replace(cloud, ca_file=str(path.parent.absolute() / cloud.ca_file)) if cloud.ca_file else cloud


def _check(where: str, key: str, value: Any, known: Mapping[str, object]) -> None:
    if key not in known or key == "name":
        raise BadCloud(f"{where}: {key} is not a key of a cloud; known are {', '.join(sorted(set(known) - {'name'}))}")
    if key in _PORTS:
        if type(value) is not int or not 0 < value < 65536:
            raise BadCloud(f"{where}: {key} is {value!r}; write a port number from 1 to 65535")
        return
    if not isinstance(value, str):
        raise BadCloud(f"{where}: {key} is {value!r}; write text in quotes")
    if key in _ADDRESSES and not _is_address(value):
        raise BadCloud(f"{where}: {key} is {value!r}; write https://host or https://host:port, without a path")


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and not (parts.path or parts.query)
    except ValueError:
        return False
