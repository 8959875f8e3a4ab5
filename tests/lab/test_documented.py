"""docs/lab.md names every call of the control API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from starlette.routing import Route

from m365lab.contoso import contoso
from m365lab.control.routes import routes
from m365lab.entra.token_endpoint import Entra
from m365lab.guard import Guard
from m365lab.post import PostOffice
from m365lab.works import Works

DOCUMENTED = Path(__file__).parents[2] / "docs" / "lab.md"


def test_every_path_of_the_control_api_is_documented() -> None:
    tenant, _ = contoso()
    none: Any = None
    works = Works(tenant, PostOffice(tenant), Entra(tenant, "https://localhost"), none, none)
    text = DOCUMENTED.read_text(encoding="utf-8")
    for route in routes(works, Guard(["localhost"])):
        path = re.sub(r"{(\w+):\w+}", r"{\1}", cast(Route, route).path)
        first, last = path.split("/")[1], path.rsplit("/", 1)[-1]
        rows = [line for line in text.splitlines() if line.startswith("| `") and f"/{first}" in line]
        assert any(last.strip("{}") in row for row in rows), f"{path} is missing in docs/lab.md"
