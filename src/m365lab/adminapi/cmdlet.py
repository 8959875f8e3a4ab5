"""What a cmdlet is: a name, the parameters that it knows, a function, and the ways in which it fails.

Parameters are bound as PowerShell binds them: names without case, enumerated values by their beginning (facts 4.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from m365lab.tenant import Tenant

# Every cmdlet takes these (about_CommonParameters), and they change nothing here.
COMMON = {
    "confirm", "whatif", "verbose", "debug", "erroraction", "warningaction", "informationaction", "errorvariable",
    "warningvariable", "outvariable", "outbuffer", "pipelinevariable", "organization", "resultsize",
}  # fmt: skip
SERVER = "AM0PR01A02DC001.EURPR01A002.prod.outlook.com"
_TASKS = "Microsoft.Exchange.Configuration.Tasks"

Row = dict[str, Any]


class CmdletError(Exception):
    """A cmdlet failed. Told as `id|type|text` (facts 4.4 [C])."""

    def __init__(self, status: int, id_: str, type_: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.id = id_
        self.type = type_
        self.text = text


def not_found(identity: str) -> CmdletError:
    """Words [C], facts 4.4; status and code NotFound read in a public log of Microsoft's own servers [C]."""
    return CmdletError(
        404,
        "Ex6F9304",
        f"{_TASKS}.ManagementObjectNotFoundException",
        f"The operation couldn't be performed because object '{identity}' couldn't be found on '{SERVER}'.",
    )


def already_exists(what: str) -> CmdletError:
    """Programs look for the words "already exist" (facts 4.4 [C]); type and status [U]."""
    return CmdletError(400, "Ex9A3E28", f"{_TASKS}.ManagementObjectAlreadyExistsException", f"{what} already exists.")


def bad_value(text: str) -> CmdletError:
    """A parameter's value is wrong; type [U]."""
    return CmdletError(400, "Ex5F1D2A", "System.Management.Automation.ParameterBindingException", text)


def unknown_parameter(name: str) -> CmdletError:
    """400 AmbiguousParameterSetException (facts 4.4 [C])."""
    return CmdletError(
        400,
        "",
        "Microsoft.Exchange.Admin.OData.Core.AmbiguousParameterSetException",
        f"A parameter cannot be found that matches parameter name '{name}'.",
    )


@dataclass
class Run:
    """One call of a cmdlet: its tenant, its parameters, and the warnings that it gives."""

    tenant: Tenant
    values: Mapping[str, Any]
    """By name in lower case."""
    warnings: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        return name.lower() in self.values

    def text(self, name: str, default: str = "") -> str:
        value = self.values.get(name.lower())
        return default if value is None else str(value)

    def needed(self, name: str) -> str:
        """A text that must be there. Raises `CmdletError`."""
        found = self.text(name).strip()
        if not found:
            raise bad_value(f"Cannot process command because of one or more missing mandatory parameters: {name}.")
        return found

    def boolean(self, name: str) -> bool | None:
        """True, false, or None for $null and what was not given. Raises `CmdletError`."""
        value = self.values.get(name.lower())
        if value is None or isinstance(value, bool):
            return value
        word = str(value).lower().removeprefix("$")
        if word in {"true", "false"}:
            return word == "true"
        raise bad_value(f'Cannot convert value "{value}" to type "System.Boolean" for the parameter {name}.')

    def chosen(self, name: str, choices: Iterable[str]) -> list[str]:
        """Enumerated values, each by its beginning. Raises `CmdletError`."""
        value = self.values.get(name.lower())
        words = value if isinstance(value, list) else str(value or "").split(",")
        found = []
        for word in (str(word).strip() for word in words):
            fitting = [choice for choice in choices if word and choice.lower().startswith(word.lower())]
            exact = [choice for choice in fitting if choice.lower() == word.lower()]
            if len(exact or fitting) != 1:
                raise bad_value(f'Cannot convert value "{word}" for the parameter {name}: use {", ".join(choices)}.')
            found += exact or fitting
        return found

    def edits(self, name: str, current: Iterable[str]) -> list[str]:
        """A multivalued property after `@{Add=...; Remove=...}`, or replaced by a plain value or list.

        The hashtable carries "@odata.type": "#Exchange.GenericHashTable" (facts 4.4). Raises `CmdletError`.
        """
        value = self.values.get(name.lower())
        if not isinstance(value, dict):
            return _texts(value)
        if value.get("@odata.type") != "#Exchange.GenericHashTable":
            raise bad_value(f"A hashtable in {name} needs the type #Exchange.GenericHashTable.")
        change = {key.lower(): _texts(item) for key, item in value.items() if not key.startswith("@")}
        if not change.keys() <= {"add", "remove"}:
            raise bad_value(f"The hashtable of {name} takes add and remove only.")
        gone = {text.lower() for text in change.get("remove", [])}
        kept = [text for text in current if text.lower() not in gone]
        return kept + [text for text in change.get("add", []) if text.lower() not in {k.lower() for k in kept}]


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


Body = Callable[[Run], Iterable[Row]]


@dataclass(frozen=True)
class Cmdlet:
    name: str
    parameters: frozenset[str]
    body: Body
    reads: bool

    def run(self, tenant: Tenant, parameters: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
        """Rows and warnings. Raises `CmdletError`."""
        values = {name.lower(): value for name, value in parameters.items()}
        for name in parameters:
            if name.lower() not in self.parameters and name.lower() not in COMMON:
                raise unknown_parameter(name)
        run = Run(tenant, values)
        return list(self.body(run)), run.warnings


CMDLETS: dict[str, Cmdlet] = {}
"""By name in lower case."""


def cmdlet(name: str, *parameters: str) -> Callable[[Body], Body]:
    """Registers a function as a cmdlet."""

    def register(body: Body) -> Body:
        known = frozenset(parameter.lower() for parameter in parameters)
        CMDLETS[name.lower()] = Cmdlet(name, known, body, name.startswith(("Get-", "Test-")))
        return body

    return register
