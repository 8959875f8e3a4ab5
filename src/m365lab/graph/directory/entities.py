"""What all directory endpoints share: lists, single entities, refusals in the directory's words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response

from m365lab.graph.desk import Call
from m365lab.graph.errors import GraphError, bad_body
from m365lab.graph.listing import page, read_query
from m365lab.graph.odata import Schema
from m365lab.graph.view import only, selected

_PAGE = 100
_LARGEST_PAGE = 999


def listed(call: Call, what: str, type_name: str, items: Iterable[dict[str, Any]], schema: Schema) -> Response:
    """A list of rendered entities, filtered, in pages."""
    rows = list(items)
    select = selected(call.request.query_params.get("$select"), _names(rows, type_name), type_name)
    query = read_query(call, schema, default_top=_PAGE, most=_LARGEST_PAGE, skip="$skiptoken")

    def show(item: dict[str, Any], whole: bool) -> dict[str, Any]:
        return item if whole else only(item, select)

    return JSONResponse(page(call, query, rows, f"$metadata#{what}", schema, show))


def one(call: Call, what: str, item: dict[str, Any], *, status: int = 200) -> Response:
    """A single entity."""
    names = [name.strip() for name in call.request.query_params.get("$select", "").split(",") if name.strip()]
    context = {"@odata.context": f"{call.base}$metadata#{what}/$entity"}
    return JSONResponse(context | only(item, selected(",".join(names), item, what)), status)


def nothing() -> Response:
    return Response(status_code=204)


def _names(rows: list[dict[str, Any]], type_name: str) -> set[str]:
    """The names to select from; an empty list knows none, and then takes all."""
    return set(rows[0]) if rows else _Anything()


class _Anything(set[str]):
    def __contains__(self, item: object) -> bool:
        return True


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
