"""The lab's page."""

from __future__ import annotations

from starlette.routing import BaseRoute

from m365lab.guard import Guard
from m365lab.works import Works


def routes(works: Works, guard: Guard) -> list[BaseRoute]:
    return []
