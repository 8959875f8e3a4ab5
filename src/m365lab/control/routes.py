"""The control API, put together."""

from __future__ import annotations

from starlette.routing import BaseRoute

from m365lab.control import directory, exchange, messages, workings
from m365lab.control.asking import Table
from m365lab.guard import Guard
from m365lab.works import Works


def routes(works: Works, guard: Guard) -> list[BaseRoute]:
    """Routes to be mounted under `/lab/api`."""
    table = Table(guard)
    for part in (workings, directory, exchange, messages):
        part.table(works, table)
    return table.routes
