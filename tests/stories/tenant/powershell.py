"""An interpreter of the cmdlets in an exported script: reads the script's text, runs them by InvokeCommand.

It knows no more of PowerShell than the scripts use, and stops at whatever else it meets. The text is parsed by
tree-sitter's grammar of PowerShell; the cmdlets go to Exchange as they are written, not as Postroom would send them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

Row = Mapping[str, Any]
Run = Callable[[str, dict[str, Any]], list[dict[str, Any]]]
"""Runs one cmdlet with its parameters. Raises what the far side refuses."""

_WITHOUT_EFFECT = frozenset(
    {"Install-Module", "Import-Module", "Connect-ExchangeOnline", "Disconnect-ExchangeOnline", "ConvertTo-Json"}
)
_COMMON = frozenset({"erroraction"})
_WRAPPERS = frozenset(
    {
        "pipeline_chain",
        "logical_expression",
        "bitwise_expression",
        "comparison_expression",
        "additive_expression",
        "multiplicative_expression",
        "format_expression",
        "range_expression",
        "unary_expression",
        "parenthesized_expression",
        "script_block",
        "script_block_body",
    }
)


class NotUnderstood(Exception):
    """The script uses something that this interpreter does not know."""


class Interpreter:
    """One session."""

    def __init__(self, run: Run, **variables: Any) -> None:
        """`variables`: what is given to the script's parameters."""
        self._run = run
        self._variables: dict[str, Any] = {"$true": True, "$false": False, "$null": None}
        self._variables |= {f"${name.lower()}": value for name, value in variables.items()}
        self.ran: list[str] = []

    def run_script(self, text: str) -> list[Any]:
        """The objects that the script gives."""
        root = Parser(Language(tree_sitter_powershell.language())).parse(text.encode()).root_node
        if root.has_error:
            raise NotUnderstood("a fault of syntax")
        given: list[Any] = []
        for child in root.named_children:
            if child.type == "param_block":
                self._check_parameters(child)
            elif child.type != "comment":
                given += self._statements(child)
        return given

    def _check_parameters(self, block: Node) -> None:
        for parameter in _all(block, "script_parameter"):
            name = _text(next(one for one in parameter.named_children if one.type == "variable")).lower()
            default = next(iter(_all(parameter, "script_parameter_default")), None)
            if default is not None:
                self._variables.setdefault(name, self._value(default.named_children[0]))
            if name not in self._variables:
                raise NotUnderstood(f"the parameter {name} was not given")

    def _statements(self, node: Node) -> list[Any]:
        given: list[Any] = []
        for child in node.named_children if node.type in {"statement_list", "statement_block"} else [node]:
            given += self._statement(child)
        return given

    def _statement(self, node: Node) -> list[Any]:
        match node.type:
            case "comment" | "function_statement":
                return []  # the only function waits, which `_command` does itself
            case "statement_list" | "statement_block":
                return self._statements(node)
            case "if_statement":
                return self._if(node)
            case "pipeline":
                return self._pipeline(node)
        raise NotUnderstood(f"{node.type}: {_text(node)[:80]}")

    def _if(self, node: Node) -> list[Any]:
        condition, block, *rest = node.named_children
        if _true(self._value(condition)):
            return self._statements(block)
        return self._statements(rest[0].named_children[0]) if rest else []

    def _pipeline(self, node: Node) -> list[Any]:
        """Commands, each getting the objects of the one before; or one expression."""
        if len(node.named_children) == 1 and node.named_children[0].type == "assignment_expression":
            return []  # $ErrorActionPreference and the TLS line
        given: list[Any] = []
        for number, part in enumerate(_parts(node)):
            if part.type == "command":
                given = self._command(part, given)
            elif number == 0:
                value = self._value(part)
                given = value if isinstance(value, list) else [value]
            else:
                raise NotUnderstood(_text(part))
        return given

    def _command(self, node: Node, given: list[Any]) -> list[Any]:
        name = _text(next(one for one in node.named_children if one.type == "command_name"))
        named, blocks = self._arguments(node)
        if name == "Where-Object":
            return [one for one in given if _true(self._with(one, blocks[0]))]
        if name == "ForEach-Object":
            return [found for one in given for found in _as_list(self._with(one, blocks[0]))]
        if name == "Wait-Until":
            if not _true(self._with(None, blocks[0])):
                raise NotUnderstood(f"what is waited for is not there: {_text(node)}")
            return []
        if name == "Get-Module":
            return [{"Name": "ExchangeOnlineManagement"}]
        if name in _WITHOUT_EFFECT:
            return given
        self.ran.append(name)
        quiet = str(named.pop("ErrorAction", "")).lower() == "silentlycontinue"
        try:
            return list(self._run(name, {key: value for key, value in named.items() if key.lower() not in _COMMON}))
        except Exception:
            if quiet:
                return []
            raise

    def _arguments(self, node: Node) -> tuple[dict[str, Any], list[Node]]:
        """Named parameters (a switch is True), and script blocks."""
        named: dict[str, Any] = {}
        blocks: list[Node] = []
        waiting = ""
        elements = next((one for one in node.named_children if one.type == "command_elements"), None)
        for element in elements.named_children if elements else ():
            if element.type == "command_argument_sep":
                continue
            if element.type == "command_parameter":
                waiting = _text(element).removeprefix("-")
                named[waiting] = True
                continue
            if found := _all(element, "script_block_expression"):
                blocks.append(found[0])
            elif waiting:
                named[waiting] = self._value(element)
            else:
                raise NotUnderstood(f"an argument without a name: {_text(node)}")
            waiting = ""
        return named, blocks

    def _with(self, item: Any, block: Node) -> Any:
        """The value of a script block for one object."""
        before = self._variables.get("$_")
        self._variables["$_"] = item
        try:
            return [found for one in _all(block, "statement_list")[:1] for found in self._statements(one)]
        finally:
            self._variables["$_"] = before

    # Values -------------------------------------------------------------------------------------------------------

    def _value(self, node: Node) -> Any:
        kinds: dict[str, Callable[[Node], Any]] = {
            "pipeline": lambda one: _single(self._pipeline(one)),
            "array_literal_expression": self._array,
            "expression_with_unary_operator": self._unary,
            "variable": lambda one: self._variables[_text(one).lower()],
            "member_access": lambda one: self._value(one.named_children[0])[_text(_all(one, "simple_name")[-1])],
            "string_literal": lambda one: self._string(one.named_children[0]),
            "generic_token": _text,
            "hash_literal_expression": self._hash,
            "cast_expression": lambda one: self._value(one.named_children[-1]),
        }
        if node.type in kinds:
            return kinds[node.type](node)
        if node.type in {"comparison_expression", "logical_expression"} and len(node.named_children) > 1:
            return self._binary(node)
        if node.type in _WRAPPERS and len(node.named_children) == 1:
            return self._value(node.named_children[0])
        raise NotUnderstood(f"{node.type}: {_text(node)[:80]}")

    def _array(self, node: Node) -> Any:
        values = [self._value(one) for one in node.named_children]
        return values if len(values) > 1 else values[0]

    def _unary(self, node: Node) -> Any:
        """`-not`, or a cast."""
        if node.named_children[0].type == "cast_expression":
            return self._value(node.named_children[0])
        if not _text(node).lower().startswith("-not"):
            raise NotUnderstood(_text(node))
        return not _true(self._value(node.named_children[-1]))

    def _binary(self, node: Node) -> Any:
        text = _text(node)
        parts = [one for one in node.named_children if not one.type.endswith("_operator")]
        left, right = parts[0], parts[-1]
        between = text[len(_text(left)) : len(text) - len(_text(right))].strip().lower()
        if between == "-and":
            return _true(self._value(left)) and _true(self._value(right))
        first, second = str(self._value(left)).lower(), str(self._value(right)).lower()
        if between == "-eq":
            return first == second
        if between == "-ne":
            return first != second
        raise NotUnderstood(text)

    def _string(self, node: Node) -> str:
        text = _text(node)
        if node.type == "verbatim_string_characters":
            return text[1:-1].replace("''", "'")
        return _expanded(text[1:-1])

    def _hash(self, node: Node) -> dict[str, Any]:
        found = {}
        for entry in _all(node, "hash_entry"):
            key, value = entry.named_children
            found[_text(key)] = self._value(value)
        return found


def _expanded(text: str) -> str:
    """The inside of a double-quoted string: backticks, and characters by their code."""
    found, rest = "", text
    while rest:
        if rest.startswith("`"):
            found, rest = found + rest[1], rest[2:]
        elif rest.startswith("$([char]"):
            inside, rest = _taken(rest)
            found += chr(int(inside.rpartition("0x")[2].rstrip(")"), 16))
        else:
            found, rest = found + rest[0], rest[1:]
    return found


def _taken(text: str) -> tuple[str, str]:
    """The subexpression `$(...)` at the beginning, and what follows."""
    depth = 0
    for at, one in enumerate(text):
        depth += (one == "(") - (one == ")")
        if one == ")" and depth == 0:
            return text[: at + 1], text[at + 1 :]
    raise NotUnderstood(text)


def _parts(node: Node) -> list[Node]:
    """The members of a pipeline."""
    found: list[Node] = []
    for one in node.named_children:
        found += one.named_children if one.type == "pipeline_chain" else [one]
    return found


def _all(node: Node, kind: str) -> list[Node]:
    """The outermost nodes of a kind."""
    found: list[Node] = []
    for child in node.named_children:
        found += [child] if child.type == kind else _all(child, kind)
    return found


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _true(value: Any) -> bool:
    if isinstance(value, list) and len(value) == 1:
        return _true(value[0])
    return bool(value)


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
