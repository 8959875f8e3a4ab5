"""`POST /adminapi/beta/{tenant}/InvokeCommand`: who may, the envelope, pages, and errors as facts 4.4 have them."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from m365lab.access import AUDIENCES

# The cmdlets register themselves.
from m365lab.adminapi import mailboxes, permissions, principals, recipients, scopes, switches  # noqa: F401
from m365lab.adminapi.cmdlet import CMDLETS, Cmdlet, CmdletError, Row
from m365lab.contoso import EXCHANGE_ADMINISTRATOR, GLOBAL_ADMINISTRATOR
from m365lab.directory import EXCHANGE_APP_ID
from m365lab.faults import FaultName
from m365lab.tenant import Tenant
from m365lab.tokens import BadToken

GLOBAL_READER = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"
ADMINISTRATORS = {EXCHANGE_ADMINISTRATOR, GLOBAL_ADMINISTRATOR}
ROLE = "Exchange.ManageAsApp"
SCOPES = {"AdminApi.AccessAsUser.All", "Exchange.Manage", "RemotePowerShell.AccessAsUser.All"}
BODY_AT_MOST = 1024 * 1024
PAGE = 1000
CROWDED = "You have reached the maximum number of concurrent requests per tenant. Please wait and try again"


class Refusal(Exception):
    """The request is not let in; carries the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(str(response.status_code))
        self.response = response


class AdminApi:
    """Exchange administration of one tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    async def invoke(self, request: Request) -> Response:
        """The endpoint."""
        try:
            await self._strike()
            directory_roles = self._directory_roles(request)
            cmdlet, parameters = await _envelope(request)
            if not _may(cmdlet, directory_roles):
                raise Refusal(_forbidden())
            rows, warnings = cmdlet.run(self._tenant, parameters)
            response = _page(request, rows, warnings)
        except CmdletError as error:
            response = _failed(error)
        except Refusal as refusal:
            response = refusal.response
        response.headers["request-id"] = request.headers.get("client-request-id") or str(uuid.uuid4())
        return response

    async def _strike(self) -> None:
        faults = self._tenant.faults
        if slow := faults.strikes(FaultName.SLOW):
            await asyncio.sleep(float(slow.values.get("seconds", 1)))
        if throttled := faults.strikes(FaultName.ADMIN_THROTTLED):
            # Told in plain text, and with a status that clients must not rely on ([C] EXOH).
            headers = {"Retry-After": str(throttled.values.get("retry_after", 5))}
            raise Refusal(PlainTextResponse(CROWDED, int(throttled.values.get("status", 429)), headers))
        if told := faults.strikes(FaultName.ADMIN_ERROR):
            status, kind = int(told.values.get("status", 500)), str(told.values.get("type", "System.Exception"))
            raise CmdletError(status, "", kind, str(told.values.get("text", "An unexpected error occurred.")))

    def _directory_roles(self, request: Request) -> set[str]:
        """The caller's directory roles. 401 without the app role, or the delegated permission (facts 4.4 [C])."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            claims = self._tenant.tokens.verify(token.strip() if scheme.lower() == "bearer" else "", AUDIENCES)
        except BadToken as bad:
            raise Refusal(_unauthorized()) from bad
        directory, object_id = self._tenant.directory, str(claims.get("oid", ""))
        if not directory.names_tenant(str(request.path_params["tenant"])):
            raise Refusal(_unauthorized())
        user, principal = directory.users.get(object_id), directory.service_principals.get(object_id)
        if claims.get("idtyp") == "user":
            allowed = user is not None and not SCOPES.isdisjoint(str(claims.get("scp", "")).split())
        else:
            allowed = principal is not None and ROLE in (claims.get("roles") or [])
        holder = user or principal
        if not allowed or holder is None:
            raise Refusal(_unauthorized())
        return holder.directory_roles


def _may(cmdlet: Cmdlet, directory_roles: set[str]) -> bool:
    return bool(directory_roles & ADMINISTRATORS) or (cmdlet.reads and GLOBAL_READER in directory_roles)


async def _envelope(request: Request) -> tuple[Cmdlet, dict[str, Any]]:
    """The cmdlet and its parameters. Raises `Refusal` or `CmdletError`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_AT_MOST:
            raise Refusal(PlainTextResponse("Request Entity Too Large", 413))
    try:
        given = json.loads(body)["CmdletInput"]
        name, parameters = given["CmdletName"], given.get("Parameters") or {}
        if not isinstance(name, str) or not isinstance(parameters, dict):
            raise TypeError(name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = "The request body must hold CmdletInput with CmdletName and Parameters."
        raise CmdletError(400, "", "Microsoft.Exchange.Admin.OData.Core.ODataServiceException", text) from error
    cmdlet = CMDLETS.get(name.lower())
    if cmdlet is None:
        raise CmdletError(
            400,
            "",
            "System.Management.Automation.CommandNotFoundException",
            f"The term '{name}' is not recognized as the name of a cmdlet.",
        )
    return cmdlet, {key: value for key, value in parameters.items() if not key.startswith("@")}


def _page(request: Request, rows: list[Row], warnings: list[str]) -> Response:
    """`value`, and where the same body is to be posted for more."""
    size, start = _page_size(request), _start(request)
    select = [name.strip() for name in request.query_params.get("$select", "").split(",") if name.strip()]
    shown = [{k: v for k, v in row.items() if not select or k in select} for row in rows[start : start + size]]
    body: dict[str, Any] = {
        "@odata.context": f"{request.url.replace(query='', path=request.url.path.rpartition('/')[0])}/$metadata",
        "value": shown,
    }
    if warnings:
        body["@adminapi.warnings"] = warnings
    if start + size < len(rows):
        url = request.url.include_query_params(**{"$skiptoken": str(start + size)})
        body["@odata.nextLink"] = str(url)
    return JSONResponse(body, headers={"Rate-Limit-Remaining": "999", "Rate-Limit-Reset": "60"})


def _page_size(request: Request) -> int:
    for item in request.headers.get("prefer", "").split(","):
        name, _, value = item.strip().partition("=")
        if name.lower() == "odata.maxpagesize" and value.isdigit() and int(value) > 0:
            return min(int(value), PAGE)
    return PAGE


def _start(request: Request) -> int:
    text = request.query_params.get("$skiptoken", "0")
    return int(text) if text.isdigit() else 0


def _failed(error: CmdletError) -> Response:
    code = {400: "BadRequest", 404: "NotFound"}.get(error.status, "InternalServerError")
    inner = {"message": error.text, "type": error.type, "stacktrace": "   at Microsoft.Exchange.Admin.OData"}
    return JSONResponse(
        {
            "error": {
                "code": code,
                "message": "Error executing cmdlet",
                "details": [{"code": "Client", "target": "", "message": f"{error.id}|{error.type}|{error.text}"}],
                "innererror": {
                    "message": "Error executing cmdlet",
                    "type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
                    "stacktrace": "   at Microsoft.Exchange.Admin.OData",
                    "internalexception": inner,
                },
            }
        },
        error.status,
        {"X-ExceptionType": error.type.rpartition(".")[2]},
    )


def _unauthorized() -> Response:
    return Response(status_code=401, headers={"WWW-Authenticate": f'Bearer client_id="{EXCHANGE_APP_ID}"'})


def _forbidden() -> Response:
    """Not JSON, although it says so: bytes of zero, as was measured ([C], facts 4.4)."""
    return Response(b"\0" * 32, 403, media_type="application/json")
