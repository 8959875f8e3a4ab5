"""The set-up as a picture: what exists and what will be made, from the wanted state and the steps of a plan. Pure.

Whatever is wanted and no step makes, is there already: the plan itself says so, and nothing has to be looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from postroom.tenant.needs import (
    consented_roles,
    needs_exchange_principal,
    needs_full_access,
    scoped_roles,
)
from postroom.tenant.plan_exchange import scope_name
from postroom.tenant.wanted import CredentialKind, ReadBy, SendBy, Wanted, WantedMailbox

Json = Mapping[str, Any]


class Mark(StrEnum):
    """How one thing stands."""

    UNKNOWN = "unknown"
    """Nobody has looked yet."""
    THERE = "there"
    MAKE = "make"
    CHANGE = "change"
    REMOVE = "remove"
    WRONG = "wrong"
    """No step mends it: a person must, or should know."""
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Mark.UNKNOWN: "not looked at yet",
    Mark.THERE: "there",
    Mark.MAKE: "will be made",
    Mark.CHANGE: "will be changed",
    Mark.REMOVE: "will be taken away",
    Mark.WRONG: "needs you",
    Mark.WORKING: "at work",
    Mark.DONE: "done",
    Mark.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One line in a box."""

    text: str
    mark: Mark
    note: str = ""
    """What is not as wanted."""


@dataclass(frozen=True, slots=True)
class Box:
    title: str
    items: tuple[Item, ...]
    arrow: str = ""
    """What the arrow to the next box below says; empty for none."""

    @property
    def name(self) -> tuple[str, str]:
        """The title in two, where a narrow box may break it: an address before its `@`."""
        local, at, domain = self.title.partition("@")
        return local, at + domain

    @property
    def mark(self) -> Mark:
        """The gravest of its items: what fails before what is done, what is made before what is there."""
        return min((item.mark for item in self.items), key=_GRAVITY.index, default=Mark.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Lane:
    """A column: one of the places in which things are made."""

    title: str
    boxes: tuple[Box, ...]
    arrow: str = ""
    """What the arrow to the next lane says."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The lanes, from the application to the mailboxes."""

    lanes: tuple[Lane, ...]

    @property
    def marks(self) -> list[Mark]:
        """Those that occur, for the legend."""
        found = {item.mark for lane in self.lanes for box in lane.boxes for item in box.items}
        return [mark for mark in Mark if mark in found]


_GRAVITY = (
    Mark.FAILED,
    Mark.WRONG,
    Mark.WORKING,
    Mark.REMOVE,
    Mark.MAKE,
    Mark.CHANGE,
    Mark.UNKNOWN,
    Mark.DONE,
    Mark.THERE,
)
_CREDENTIALS = {
    CredentialKind.SECRET: "Client secret",
    CredentialKind.CERTIFICATE: "Certificate",
    CredentialKind.FEDERATED: "Federated credential",
}
_CHANGES = ("principal:enable", "protocols:", "credential:upload:")
_REMOVALS = ("consent-revoke:", "delegated-revoke:", "credential-remove:", "exchange-principal:remove:")
_BUILDS = frozenset({"running", "waiting"})


def picture(
    wanted: Wanted, steps: Sequence[Json] | None, drift: Sequence[Json] = (), states: Mapping[str, str] | None = None
) -> Picture:
    """Draws it.

    `steps` and `drift` are those of `Plan.to_data()`; None where nobody has looked. `states` says of each step of a
    running apply how it stands.
    """
    return Picture(tuple(_Painter(wanted, steps, drift, states or {}).lanes()))


class _Painter:
    def __init__(
        self, wanted: Wanted, steps: Sequence[Json] | None, drift: Sequence[Json], states: Mapping[str, str]
    ) -> None:
        self._wanted, self._states = wanted, states
        self._has_looked = steps is not None
        self._steps = {step["key"]: step for step in steps or ()}
        self._drift = drift

    def lanes(self) -> Iterator[Lane]:
        in_entra = Lane("Entra ID", tuple(self._directory()), "may open")
        exchange = tuple(box for box in self._exchange() if box.items)
        mailboxes = Lane("Mailboxes", tuple(self._mailbox(one) for one in self._wanted.mailboxes))
        if exchange:
            yield Lane(in_entra.title, in_entra.boxes, "is known by its object id to")
            yield Lane("Exchange Online", exchange, "may open")
        else:
            yield in_entra
        yield mailboxes

    def _directory(self) -> Iterator[Box]:
        credential = self._wanted.credential
        kind = _CREDENTIALS[credential.kind]
        lasts = "" if credential.kind is CredentialKind.FEDERATED else f", {credential.days} days"
        yield Box(
            "Credential",
            (self._item(f"{kind}{lasts}", "credential:"), *self._removed("credential-remove:")),
            "proves",
        )
        yield Box(
            "App registration",
            (self._item(self._wanted.application, "application"), *self._asks()),
            "stands in the tenant as",
        )
        consents = [
            self._item(f"{role.value}, consented", f"consent:{role.resource}:{role.value}")
            for role in consented_roles(self._wanted)
        ]
        yield Box(
            "Enterprise application",
            (
                self._item("Service principal", "principal", "principal:enable"),
                *consents,
                *self._removed("consent-revoke:", "delegated-revoke:"),
                *self._unmended("permission-too-many", "unscoped-graph-role", "unscoped-smtp-role"),
                *self._unmended("delegated-permission", "role-unknown", "resource-missing"),
                *self._unmended("application-missing", "application-ambiguous"),
            ),
        )

    def _asks(self) -> Iterator[Item]:
        """Permissions that the registration asks for; one step corrects them all, and its findings say which."""
        corrected = [one for one in self._drift if one["mended_by"] == "application:permissions"]
        missing = {one["about"] for one in corrected if one["id"] == "permission-missing"}
        for role in consented_roles(self._wanted):
            keys = ("application", "application:permissions") if role.value in missing else ("application",)
            yield self._item(f"Asks for {role.value}", *keys)
        for one in corrected:
            if one["id"] != "permission-missing":
                state = self._mark_of("application:permissions")
                yield Item(f"Asks for {one['about']}", Mark.REMOVE if state is Mark.MAKE else state, one["fault"])

    def _exchange(self) -> Iterator[Box]:
        if needs_exchange_principal(self._wanted):
            known = self._item("Known under its object id", "exchange-principal")
            roles = scoped_roles(self._wanted)
            wrong = self._removed("exchange-principal:remove:")
            yield Box("Service principal", (*wrong, known), "has roles within" if roles else "")
        if roles := scoped_roles(self._wanted):
            yield Box(
                "Scope",
                (
                    self._item(scope_name(self._wanted), "scope"),
                    *(self._item(f"{role}, in scope", f"scoped-role:{role}") for role in roles),
                    *self._removed("unscoped-assignment:"),
                    *self._unmended("unscoped-assignment"),
                ),
            )

    def _mailbox(self, box: WantedMailbox) -> Box:
        address = box.address
        kind = "Shared mailbox" if box.shared else "Mailbox of a user"
        people = (
            *((f"{one} opens it", f"member:{address}:{one}") for one in box.members),
            *((f"{one} sends as it", f"send-as:{address}:{one}") for one in box.send_as),
            *((f"{one} sends on its behalf", f"on-behalf:{address}:{one}") for one in box.send_on_behalf),
            *((f"Mail may bear {one}", f"also-from:{one}:{address}") for one in box.also_from),
        )
        missing = tuple(self._unmended("mailbox-missing", "licence-missing", about=address))
        items = [
            *(missing or (self._item(kind, f"mailbox:{address}", f"licence:{address}"),)),
            *([self._item("FullAccess for the application", f"full-access:{address}")] if self._full else []),
            *([self._item(f"{self._ways} switched on", f"protocols:{address}")] if self._ways else []),
            *(self._item(text, key) for text, key in people),
            *(item for one in self._people(box) for item in self._unmended("person-missing", about=one)),
            self._item("Configured in Postroom", f"configuration:{address}"),
        ]
        return Box(address, tuple(items))

    @staticmethod
    def _people(box: WantedMailbox) -> list[str]:
        return sorted({*box.members, *box.send_as, *box.send_on_behalf})

    @property
    def _full(self) -> bool:
        return needs_full_access(self._wanted)

    @property
    def _ways(self) -> str:
        """The protocols that have a switch on each mailbox."""
        ways = [
            name
            for name, is_wanted in (
                ("SMTP", self._wanted.sends(SendBy.SMTP)),
                ("IMAP", self._wanted.reads(ReadBy.IMAP)),
                ("POP", self._wanted.reads(ReadBy.POP)),
            )
            if is_wanted
        ]
        return ", ".join(ways)

    def _item(self, text: str, *keys: str) -> Item:
        """A wanted thing; `keys` are those of steps about it, one that ends in `:` a beginning of any number."""
        steps = [key for key in self._steps if _matches(key, keys)]
        if not steps:
            return Item(text, Mark.THERE if self._has_looked else Mark.UNKNOWN)
        faults = (one["fault"] for one in self._drift if one["mended_by"] in steps)
        return Item(text, self._mark(steps), "; ".join(dict.fromkeys(faults)))

    def _mark(self, keys: Iterable[str]) -> Mark:
        return min((self._mark_of(key) for key in keys), key=_GRAVITY.index)

    def _mark_of(self, key: str) -> Mark:
        state = self._states.get(key, "planned")
        if state in _BUILDS:
            return Mark.WORKING
        if state in {"done", "failed"}:
            return Mark(state)
        if _matches(key, _CHANGES):
            return Mark.CHANGE
        return Mark.REMOVE if _matches(key, (*_REMOVALS, "unscoped-assignment:")) else Mark.MAKE

    def _removed(self, *beginnings: str) -> Iterator[Item]:
        """Things that are there and should not be: each step that takes one away."""
        for key, step in self._steps.items():
            if _matches(key, beginnings):
                yield Item(step["title"], self._mark((key,)))

    def _unmended(self, *ids: str, about: str = "") -> Iterator[Item]:
        """What no step mends."""
        for one in self._drift:
            if one["id"] in ids and not one["mended_by"] and about in ("", one["about"]):
                yield Item(one["about"] or one["id"], Mark.WRONG, one["fault"])


def _matches(key: str, patterns: Iterable[str]) -> bool:
    return any(key.startswith(one) if one.endswith(":") else key == one for one in patterns)
