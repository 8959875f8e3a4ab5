"""What a step calls, as values: a request to Graph, or a cmdlet of Exchange. Pure.

An id that is not known before an earlier step has run stands as `{client_id}`, `{application_id}`,
`{service_principal_id}` and so on. `apply` fills it in; the plan and the script show it as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CLIENT_ID = "{client_id}"
APPLICATION_ID = "{application_id}"
"""Object id of the App registration."""
PRINCIPAL_ID = "{service_principal_id}"
"""Object id of the Enterprise application: the one Exchange wants (facts A10)."""

_HOLE = re.compile(r"\{([a-z_]+)\}")


class NotKnown(LookupError):
    """A call needs an id that no earlier step has brought."""


@dataclass(frozen=True, slots=True)
class GraphCall:
    """A request to Microsoft Graph; `path` begins after `/v1.0`."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None

    def filled(self, known: Mapping[str, str]) -> GraphCall:
        """Raises `NotKnown`."""
        return GraphCall(self.method, _fill(self.path, known), None if self.body is None else _fill(self.body, known))

    def __str__(self) -> str:
        body = f" {json.dumps(self.body, ensure_ascii=False)}" if self.body is not None else ""
        return f"Graph {self.method} {self.path}{body}"


@dataclass(frozen=True, slots=True)
class Change:
    """A change to a list, PowerShell's `@{Add=...}` or `@{Remove=...}`: the rest of the list stays."""

    how: str
    """`add` or `remove`."""
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """A cmdlet of Exchange Online with its parameters; True is a switch or `$true`."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def filled(self, known: Mapping[str, str]) -> Cmdlet:
        """Raises `NotKnown`."""
        return Cmdlet(self.name, _fill(self.parameters, known))

    @property
    def reads(self) -> bool:
        return self.name.startswith(("Get-", "Test-"))

    def __str__(self) -> str:
        shown = " ".join(f"-{name} {_shown(value)}" for name, value in self.parameters.items())
        return f"Exchange {self.name} {shown}".strip()


Call = GraphCall | Cmdlet


def to_data(call: Call) -> dict[str, Any]:
    """The call as plain data, for the database, the hash and `--json`."""
    if isinstance(call, GraphCall):
        return {"graph": call.method, "path": call.path, "body": call.body}
    return {"cmdlet": call.name, "parameters": {name: _data(value) for name, value in call.parameters.items()}}


def _fill(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _HOLE.sub(lambda hole: _known(hole.group(1), known), value)
    if isinstance(value, Change):
        return Change(value.how, tuple(_fill(one, known) for one in value.values))
    if isinstance(value, Mapping):
        return {key: _fill(one, known) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [_fill(one, known) for one in value]
    return value


def _known(name: str, known: Mapping[str, str]) -> str:
    try:
        return known[name]
    except KeyError:
        raise NotKnown(name) from None


def _data(value: Any) -> Any:
    return {value.how: list(value.values)} if isinstance(value, Change) else value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "$true" if value else "$false"
    if isinstance(value, Change):
        return f"@{{{value.how.capitalize()}={','.join(value.values)}}}"
    if isinstance(value, str) or not isinstance(value, Sequence):
        text = str(value)
        return f'"{text}"' if " " in text else text
    return ",".join(map(str, value))
