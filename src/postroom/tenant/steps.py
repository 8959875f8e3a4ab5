"""What a plan is made of: findings, steps, and the plan itself. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from postroom.tenant.calls import Call, to_data
from postroom.tenant.rights import Right


class Weight(StrEnum):
    BLOCKS = "blocks"
    """Nothing can be applied before a person has mended it."""
    WRONG = "wrong"
    """Mail fails because of it, or may fail soon; or the application can reach what it should not."""
    WARNING = "warning"
    """Worth knowing; nothing is changed because of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as wanted."""

    id: str
    """`consent-missing`, `wrong-object-id` ...; docs/tenant.md lists them."""
    about: str
    """What it is about: an address, an app role, a key id."""
    fault: str
    fix: str
    """What mends it; of those that a step mends, what a person without Postroom would do."""
    weight: Weight = Weight.WRONG
    mended_by: str = ""
    """Key of the step that mends it."""

    def to_data(self) -> dict[str, str]:
        return {
            "id": self.id,
            "about": self.about,
            "fault": self.fault,
            "fix": self.fix,
            "weight": self.weight.value,
            "mended_by": self.mended_by,
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One change. Its key says fully what it comes to, given the wanted state; doing it twice does no harm."""

    key: str
    title: str
    why: str
    calls: tuple[Call, ...] = ()
    """What it calls, in order; empty for what happens in Postroom alone."""
    needs: tuple[Right, ...] = ()
    depends_on: tuple[str, ...] = ()
    """Keys of steps before it; a key ending in `:` or `*` is a beginning, of any number of steps."""
    findings: tuple[Finding, ...] = ()

    def to_data(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "title": self.title,
            "why": self.why,
            "calls": [to_data(call) for call in self.calls],
            "shown": [str(call) for call in self.calls],
            "needs": [right.value for right in self.needs],
            "depends_on": list(self.depends_on),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order, and all that is not as wanted."""

    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    hash: str
    tenant_id: str

    @property
    def blocked(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.weight is Weight.BLOCKS)

    @property
    def nothing_to_do(self) -> bool:
        return not self.steps and not self.blocked

    @property
    def needs(self) -> frozenset[Right]:
        return frozenset(right for step in self.steps for right in step.needs) | {Right.READ_DIRECTORY}

    def to_data(self) -> dict[str, Any]:
        return {
            "hash": self.hash,
            "tenant_id": self.tenant_id,
            "nothing_to_do": self.nothing_to_do,
            "steps": [step.to_data() for step in self.steps],
            "drift": [one.to_data() for one in self.findings],
            "needs": sorted(self.needs),
        }


def assemble(wanted_text: str, tenant_id: str, steps: Iterable[Step], findings: Iterable[Finding]) -> Plan:
    """Puts a plan together: dependencies resolved to the steps that are there, findings tied to their steps."""
    listed = list(steps)
    keys = [step.key for step in listed]
    whole = tuple(replace(step, depends_on=_resolved(step, keys)) for step in listed)
    tied = [replace(one, mended_by=step.key) for step in whole for one in step.findings]
    return Plan(whole, (*tied, *findings), _hash(wanted_text, tenant_id, whole), tenant_id)


def _resolved(step: Step, keys: list[str]) -> tuple[str, ...]:
    def meant(pattern: str) -> Iterable[str]:
        if pattern == "*":
            return (key for key in keys[: keys.index(step.key)])
        if pattern.endswith(":"):
            return (key for key in keys if key.startswith(pattern) and key != step.key)
        return (key for key in keys if key == pattern)

    return tuple(dict.fromkeys(key for pattern in step.depends_on for key in meant(pattern)))


def _hash(wanted_text: str, tenant_id: str, steps: Iterable[Step]) -> str:
    """Of what will be done, not of when it was looked at: the same input gives the same hash."""
    content: Mapping[str, Any] = {
        "wanted": wanted_text,
        "tenant": tenant_id,
        "steps": [{"key": step.key, "calls": [to_data(call) for call in step.calls]} for step in steps],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
