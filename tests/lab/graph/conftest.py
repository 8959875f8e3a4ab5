"""Graph in one process: the tenant, the post office, and a client with a good token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from m365lab.contoso import contoso
from m365lab.graph import routes
from m365lab.post import PostOffice
from support.graph import Graph


@pytest.fixture
def graph() -> Iterator[Graph]:
    tenant, ready = contoso()
    assert ready is not None
    office = PostOffice(tenant)
    app = Starlette(routes=[Mount("/v1.0", routes=routes(tenant, office))])
    with TestClient(app) as http:
        yield Graph(tenant, office, ready, app, http)
