"""Who administers: a person or an application, its tokens, and what it holds of rights."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from postroom.microsoft.answers import Refused
from postroom.microsoft.claims import AccessToken
from postroom.microsoft.clouds import Cloud
from postroom.tenant.exchange import RestExchange
from postroom.tenant.graph import Graph
from postroom.tenant.rights import Holdings
from postroom.tenant.trips import Trips
from postroom.tenant.web import Web

_EARLY = 120.0
"""Seconds before its end at which a token is no longer used."""


@dataclass
class Administrator:
    """`ask(resource)` gives a token and may block on the network; it raises `Refused`."""

    cloud: Cloud
    name: str
    """User principal name, or client id."""
    person: str
    """User principal name; empty for an application."""
    ask: Callable[[str], AccessToken] = field(repr=False)
    _held: dict[str, AccessToken] = field(default_factory=dict, repr=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def token(self, resource: str, trips: Trips) -> AccessToken:
        """Kept until shortly before its end; however many wait, it is asked for once."""
        async with self._lock:
            held = self._held.get(resource)
            if held is None or held.expires_at - time.time() < _EARLY:
                held = self._held[resource] = await asyncio.to_thread(self.ask, resource)
                trips.count()
            return held

    def graph(self, web: Web) -> Graph:
        async def token() -> str:
            return (await self.token(self.cloud.graph_resource, web.trips)).value

        return Graph(web, token)

    async def exchange(self, web: Web) -> RestExchange:
        """Exchange's address names the tenant by its id, which the token tells. Raises `Refused`."""

        async def token() -> str:
            return (await self.token(self.cloud.exchange_resource, web.trips)).value

        return RestExchange(web, token, await self.tenant_id(web), self.person)

    async def tenant_id(self, web: Web) -> str:
        """Raises `Refused`."""
        return (await self.token(self.cloud.graph_resource, web.trips)).claims.tenant

    async def holdings(self, web: Web) -> Holdings:
        """Its rights: directory roles from the token, or else as the directory lists them. Raises `Refused`."""
        by_graph = (await self.token(self.cloud.graph_resource, web.trips)).claims
        by_exchange = (await self.token(self.cloud.exchange_resource, web.trips)).claims
        roles = by_graph.directory_roles | by_exchange.directory_roles
        known = True
        if not roles:
            listed = await self._listed_roles(web, by_graph.service_principal_id)
            roles, known = listed or frozenset(), listed is not None
        return Holdings(self.name, bool(self.person), roles, by_graph.roles | by_exchange.roles, known)

    async def _listed_roles(self, web: Web, object_id: str) -> frozenset[str] | None:
        """None when the directory does not say."""
        filter_ = f"$filter=principalId eq '{object_id}'&$select=roleDefinitionId"
        try:
            rows = await self.graph(web).all(f"/roleManagement/directory/roleAssignments?{filter_}")
        except Refused as refused:
            if refused.answer.status in {403, 404}:
                return None
            raise
        return frozenset(str(one.get("roleDefinitionId")) for one in rows)
