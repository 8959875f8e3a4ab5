"""What a refusal means to a step that may be repeated: done already, not possible yet, or no. Pure.

Source: facts 3 and 4.4; the texts that decide are Microsoft's, and are looked at only where the code is too general.
"""

from __future__ import annotations

from enum import StrEnum

from postroom.microsoft.answers import Answer, Service
from postroom.tenant.calls import Call, Cmdlet, GraphCall


class Standing(StrEnum):
    ALREADY = "already"
    """It is as it should be, without this call."""
    NOT_YET = "not-yet"
    """What it builds on has not reached this server; waiting mends it (facts 8)."""
    REFUSED = "refused"


_ALREADY_CODES = frozenset({"Request_MultipleObjectsWithSameKeyValue", "MultipleObjectsWithSameKeyValue"})
_ALREADY_TEXTS = ("already exist", "already in use", "already present", "already has")
_NOT_YET_CODES = frozenset({"Request_ResourceNotFound", "ResourceNotFound", "ManagementObjectNotFoundException"})
_NOT_YET_TEXTS = (
    "does not reference a valid application object",
    "couldn't be found",
    "does not exist or one of its queried reference-property objects are not present",
)
_GONE_TEXTS = ("no password credential found", *_NOT_YET_TEXTS)


def standing(call: Call, answer: Answer) -> Standing:
    """How the refusal of `call` is to be taken."""
    if answer.service not in {Service.GRAPH, Service.EXCHANGE}:
        return Standing.REFUSED
    text = answer.text.lower()
    missing = answer.code in _NOT_YET_CODES or answer.status == 404
    if removes(call):
        gone = missing or any(one in text for one in _GONE_TEXTS)
        return Standing.ALREADY if gone else Standing.REFUSED
    if answer.code in _ALREADY_CODES or answer.status == 409 or any(one in text for one in _ALREADY_TEXTS):
        return Standing.ALREADY
    if missing or any(one in text for one in _NOT_YET_TEXTS):
        return Standing.NOT_YET
    return Standing.REFUSED


def removes(call: Call) -> bool:
    """True for a call that takes something away."""
    if isinstance(call, Cmdlet):
        return call.name.startswith("Remove-")
    return isinstance(call, GraphCall) and (call.method == "DELETE" or call.path.endswith("/removePassword"))
