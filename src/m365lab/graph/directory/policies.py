"""Security defaults: while they are on, SMTP AUTH is off for the whole tenant (facts 4.1 [OLD])."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from m365lab.graph.desk import Call
from m365lab.graph.directory import rights
from m365lab.graph.directory.entities import bad_request, check_kind, nothing, one
from m365lab.graph.directory.rights import demand

_ID = "00000000-0000-0000-0000-000000000005"
_PATH = "/policies/identitySecurityDefaultsEnforcementPolicy"


async def get(call: Call) -> Response:
    demand(call, rights.READ_POLICIES)
    row: dict[str, Any] = {
        "id": _ID,
        "deletedDateTime": None,
        "displayName": "Security Defaults",
        "description": "Security defaults is a set of basic identity security mechanisms recommended by Microsoft.",
        "isEnabled": call.tenant.directory.security_defaults,
    }
    return one(
        call, "policies/identitySecurityDefaultsEnforcementPolicy", "identitySecurityDefaultsEnforcementPolicy", row
    )


async def patch(call: Call) -> Response:
    demand(call, rights.WRITE_POLICIES)
    check_kind(call.json, {"isEnabled": bool})
    if not isinstance(call.json.get("isEnabled"), bool):
        raise bad_request("A value is required for property 'isEnabled' of resource.")
    call.tenant.directory.security_defaults = call.json["isEnabled"]
    return nothing()


ROUTES = (("GET", _PATH, get), ("PATCH", _PATH, patch))
