"""The connection of a verb: an administrator, HTTP to Microsoft, and an event loop beside the tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from postroom.core.settings import settings
from postroom.tenant.administrator import Administrator
from postroom.tenant.exchange import RestExchange
from postroom.tenant.graph import Graph
from postroom.tenant.local import Errands, drive
from postroom.tenant.models import Setup
from postroom.tenant.observe import LocalState, observe
from postroom.tenant.observed import Observed
from postroom.tenant.signin import administrator
from postroom.tenant.trips import Trips
from postroom.tenant.wanted import Wanted
from postroom.tenant.web import Web

_Event = TypeVar("_Event")


@dataclass
class Sight:
    """What a verb works with while it is connected."""

    admin: Administrator
    web: Web
    graph: Graph
    exchange: RestExchange

    @property
    def trips(self) -> Trips:
        return self.web.trips

    async def observe(self, wanted: Wanted, local: LocalState) -> Observed:
        """Raises `Refused`."""
        return await observe(wanted, local, self.graph, self.exchange)

    async def tenant_id(self) -> str:
        return await self.admin.tenant_id(self.web)


def admin_of(setup: Setup) -> Administrator:
    """Who signed in to the set-up's tenant. Raises `Fault` when nobody did."""
    return administrator(setup.cloud, setup.tenant)


@asynccontextmanager
async def connected(admin: Administrator, tell: Callable[[str], None]) -> AsyncIterator[Sight]:
    """Raises `Refused`."""
    web = Web(admin.cloud, settings().proxy, tell)
    try:
        yield Sight(admin, web, admin.graph(web), await admin.exchange(web))
    finally:
        await web.close()


def working(work: Callable[[Errands[_Event]], Coroutine[Any, Any, None]], listen: Callable[[_Event], None]) -> None:
    """Runs `work` in an event loop of its own; what it asks to be stored is stored in this thread. Raises what it
    raises."""
    errands: Errands[_Event] = Errands()
    drive(errands.during(lambda: work(errands)), listen)
