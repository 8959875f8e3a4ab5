"""What all directory endpoints share: lists, single entities, refusals in the directory's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.responses import JSONResponse, Response

from m365lab.graph.desk import Call
from m365lab.graph.errors import GraphError, bad_body
from m365lab.graph.listing import page, read_query
from m365lab.graph.odata import Schema
from m365lab.graph.view import only, selected

PROPERTIES = {
    "application": {
        "id", "deletedDateTime", "addIns", "api", "appId", "applicationTemplateId", "appRoles", "certification",
        "createdByAppId", "createdDateTime", "defaultRedirectUri", "description", "disabledByMicrosoftStatus",
        "displayName", "groupMembershipClaims", "identifierUris", "info", "isDeviceOnlyAuthSupported", "isDisabled",
        "isFallbackPublicClient", "keyCredentials", "notes", "optionalClaims", "passwordCredentials", "publicClient",
        "publisherDomain", "requiredResourceAccess", "serviceManagementReference", "signInAudience", "spa", "tags",
        "tokenEncryptionKeyId", "uniqueName", "verifiedPublisher", "web",
    },
    "servicePrincipal": {
        "id", "deletedDateTime", "accountEnabled", "addIns", "alternativeNames", "appDescription", "appDisplayName",
        "appId", "applicationTemplateId", "appOwnerOrganizationId", "appRoleAssignmentRequired", "appRoles",
        "createdByAppId", "description", "disabledByMicrosoftStatus", "displayName", "homepage", "info", "isDisabled",
        "keyCredentials", "loginUrl", "logoutUrl", "notes", "notificationEmailAddresses", "oauth2PermissionScopes",
        "passwordCredentials", "preferredSingleSignOnMode", "replyUrls", "servicePrincipalNames",
        "servicePrincipalType", "signInAudience", "tags", "tokenEncryptionKeyId", "verifiedPublisher",
    },
    "appRoleAssignment": {
        "id", "deletedDateTime", "appRoleId", "createdDateTime", "principalDisplayName", "principalId",
        "principalType", "resourceDisplayName", "resourceId",
    },
}  # fmt: skip
"""Names of the types that are known in full, for `$select`."""
T = TypeVar("T")
_PAGE = 100
_LARGEST_PAGE = 999


def listed(call: Call, what: str, type_name: str, items: Iterable[dict[str, Any]], schema: Schema) -> Response:
    """A list of rendered entities, filtered, in pages."""
    rows = list(items)
    select = _selected(call, type_name)
    query = read_query(call, schema, default_top=_PAGE, most=_LARGEST_PAGE, skip="$skiptoken")

    def show(item: dict[str, Any], whole: bool) -> dict[str, Any]:
        return item if whole else only(item, select)

    return JSONResponse(page(call, query, rows, f"$metadata#{what}", schema, show))


def one(call: Call, what: str, type_name: str, item: dict[str, Any], *, status: int = 200) -> Response:
    """A single entity."""
    context = {"@odata.context": f"{call.base}$metadata#{what}/$entity"}
    return JSONResponse(context | only(item, _selected(call, type_name)), status)


def nothing() -> Response:
    return Response(status_code=204)


def _selected(call: Call, type_name: str) -> tuple[str, ...]:
    """The names of `$select`. What the type has and the lab does not show is left out; other names are refused.

    Raises `BadQuery`. Of types that are not in `PROPERTIES` the lab does not know all names, and refuses none.
    """
    text = call.request.query_params.get("$select", "")
    return selected(text, PROPERTIES.get(type_name) or [name.strip() for name in text.split(",")], type_name)


def keyed(key: str, by_id: Mapping[str, T], by_app_id: Callable[[str], T | None]) -> T:
    """The entity by its object id, or by the alternate key `(appId='...')`. Raises `GraphError`."""
    app_id = key.removeprefix("appId=")
    found = by_id.get(key) if app_id == key else by_app_id(app_id)
    if found is None:
        raise not_found(app_id)
    return found


def not_found(key: str) -> GraphError:
    """404 ([I] azure-cli#5340)."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{key}' does not exist or one of its queried reference-property objects are not present.",
    )


def bad_request(message: str) -> GraphError:
    return GraphError(400, "Request_BadRequest", message)


def conflict(message: str) -> GraphError:
    """409 ([I] CIPP#1142)."""
    return GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)


def text_of(values: dict[str, Any], name: str) -> str:
    """A text that must be there. Raises `GraphError`."""
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise bad_request(f"A value is required for property '{name}' of resource.")
    return value


def check_kind(values: dict[str, Any], kinds: dict[str, type | tuple[type, ...]]) -> None:
    """Refuses unknown properties and values of the wrong type. Raises `GraphError`."""
    for name, value in values.items():
        if name.startswith("@"):
            continue
        if name not in kinds:
            raise bad_request(f"Invalid property '{name}'.")
        if value is not None and not isinstance(value, kinds[name]):
            raise bad_body(f"Cannot convert a value to the expected type of '{name}'.")


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: Any, name: str) -> float | None:
    """A DateTimeOffset of a request as Unix time. Raises `GraphError`."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise bad_body(f"Cannot convert a value to the expected type 'Edm.DateTimeOffset' of '{name}'.") from error
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
