"""Exchange administration in one process, called as an application that may."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from m365lab.adminapi import routes
from m365lab.contoso import EXCHANGE_ADMINISTRATOR, contoso
from support.exchange_admin import Exchange


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    tenant, ready = contoso()
    assert ready is not None
    ready.principal.directory_roles.add(EXCHANGE_ADMINISTRATOR)
    with TestClient(Starlette(routes=routes(tenant))) as http:
        yield Exchange(tenant, ready, http)
