"""The connection of a verb: an administrator, HTTP to Microsoft, and an event loop beside the tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from postroom.core.settings import settings
from postroom.tenant import setups
from postroom.tenant.administrator import Administrator
from postroom.tenant.deeds import Deeds, Patience
from postroom.tenant.engine import Engine
from postroom.tenant.exchange import RestExchange
from postroom.tenant.graph import Graph
from postroom.tenant.keeping import Keeper
from postroom.tenant.local import Errands, drive
from postroom.tenant.models import Setup
from postroom.tenant.observe import LocalState, observe
from postroom.tenant.observed import Observed
from postroom.tenant.progress import Progress
from postroom.tenant.signin import administrator, is_signed_in
from postroom.tenant.steps import Plan
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


async def carry_out(
    sight: Sight,
    plan: Plan,
    keeper: Keeper,
    errands: Errands[Progress],
    patience: Patience,
    interrupted: frozenset[str] = frozenset(),
) -> None:
    """Does a plan whose run was begun. `interrupted`: as in `Deeds`."""
    deeds = Deeds(
        plan=plan,
        known=keeper.known() | {"federation_audience": sight.admin.cloud.federation_audience},
        graph=sight.graph,
        exchange=sight.exchange,
        store=keeper,
        errands=errands,
        ends_at=keeper.ends_at,
        interrupted=interrupted,
        patience=patience,
    )
    await Engine(plan, deeds, keeper, errands).run()


def admin_of(setup: Setup) -> Administrator:
    """Who signed in to the set-up's tenant. Raises `Fault` when nobody did."""
    return administrator(setup.cloud, signed_in_to(setup) or setup.tenant)


def signed_in_to(setup: Setup) -> str:
    """The name of the tenant under which somebody is signed in; empty when nobody is."""
    return next((name for name in setups.tenants_of(setup) if is_signed_in(setup.cloud, name)), "")


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
