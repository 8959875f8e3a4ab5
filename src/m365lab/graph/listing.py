"""One page of a list: filter, order, cut, and the link to the next page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from m365lab.graph import errors, odata
from m365lab.graph.desk import Call
from m365lab.graph.odata import BadQuery, Expression, Order, Schema

_TAKEN = {"$select", "$top", "$filter", "$orderby", "$count", "$format"}


@dataclass(frozen=True)
class Query:
    """The query options of a list."""

    top: int
    skip: int = 0
    filter: Expression | None = None
    order: tuple[Order, ...] = ()
    count: bool = False
    skip_option: str = "$skip"


def read_query(call: Call, schema: Schema, *, default_top: int, most: int, skip: str = "$skip") -> Query:
    """The query options. Raises `BadQuery`, or `GraphError` InefficientFilter.

    `skip` is the option that the next link carries: mail counts with `$skip`, the directory has `$skiptoken`.
    """
    options = call.request.query_params
    for name in options:
        if name.startswith("$") and name not in _TAKEN | {skip}:
            raise BadQuery(f"The query option '{name}' is not imitated here.")
    filter_ = odata.parse_filter(options["$filter"], schema) if options.get("$filter") else None
    order = odata.parse_orderby(options["$orderby"], schema) if options.get("$orderby") else ()
    if filter_ is not None and order:
        check_order(filter_, order)
    return Query(
        top=odata.whole_number(options.get("$top", str(default_top)), "$top", 1, most),
        skip=odata.whole_number(options.get(skip, "0"), skip, 0, 10**9),
        skip_option=skip,
        filter=filter_,
        order=order,
        count=odata.boolean(options.get("$count", "false"), "$count"),
    )


def check_order(filter_: Expression, order: tuple[Order, ...]) -> None:
    """What is sorted by must be filtered by, first and in the same order ([D] list messages)."""
    filtered = list(dict.fromkeys(odata.filter_paths(filter_)))
    if filtered[: len(order)] != [key.path for key in order]:
        raise errors.too_complex()


def page(
    call: Call,
    query: Query,
    items: list[Any],
    context: str,
    schema: Schema,
    show: Callable[[Any, bool], dict[str, Any]],
) -> dict[str, Any]:
    """The answer's body. `show(item, whole)` renders an item, `whole` with all that can be filtered by."""
    if query.filter is not None or query.order:
        whole: dict[int, Mapping[str, Any]] = {id(item): show(item, True) for item in items}
        if query.filter is not None:
            wanted = query.filter
            items = [item for item in items if odata.matches(wanted, whole[id(item)], schema)]
        items = odata.sort(items, query.order, schema, lambda item, path: odata.lookup(whole[id(item)], path))
    body: dict[str, Any] = {"@odata.context": f"{call.base}{context}"}
    if query.count:
        body["@odata.count"] = len(items)
    end = query.skip + query.top
    body["value"] = [show(item, False) for item in items[query.skip : end]]
    if end < len(items):
        options = dict(call.request.query_params) | {query.skip_option: str(end)}
        body["@odata.nextLink"] = call.url(options)
    return body
