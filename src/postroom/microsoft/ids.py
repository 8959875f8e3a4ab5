"""Microsoft's well-known ids, and how ids, secrets and tenants look."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("data") / "ids.toml"
_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{4,253}}\Z)({_LABEL}\.)+{_LABEL}", re.IGNORECASE)


def application_id(name: str) -> str:
    """The application id of "exchange", "graph", "exchange-powershell" or "graph-command-line"."""
    return str(_data()["applications"][name])


def role_id(resource: str, value: str) -> str | None:
    """The id of an application permission of "exchange" or "graph"; None when no public source states it.

    None is the case of `SMTP.SendAsApp`: find it by `value` in the `appRoles` of the resource's service principal.
    """
    roles: Mapping[str, str] = _data()["roles"][resource]
    return roles.get(value)


def directory_role_id(name: str) -> str:
    """The template id of a directory role, such as "Exchange Administrator"."""
    return str(_data()["directory-roles"][name])


def delegated_permissions() -> frozenset[str]:
    """Delegated permissions that are granted by mistake in place of the application permissions."""
    return frozenset(_data()["delegated"])


def is_guid(text: str) -> bool:
    """True for the 8-4-4-4-12 form that Microsoft shows, without braces."""
    return _GUID.fullmatch(text) is not None


def is_tenant(text: str) -> bool:
    """True for what the token endpoint takes as tenant: a GUID or a domain (facts 1.1).

    "common", "organizations" and "consumers" are no tenants for an application without a person.
    """
    return is_guid(text) or _DOMAIN.fullmatch(text) is not None


def is_secret_id(text: str) -> bool:
    """True when a client secret's id was pasted in place of its value: an id is a GUID, a value never (facts 8)."""
    return is_guid(text.strip())


@cache
def _data() -> Mapping[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))
