"""The directory half of Graph: applications, service principals, consent, people, roles, policies.

Read `rights` for who may do what, then `applications` and `principals`.
"""

from __future__ import annotations

from starlette.routing import Route

from m365lab.graph.desk import Desk
from m365lab.graph.directory import applications, consent, people, policies, principals, roles


def directory_routes(desk: Desk) -> list[Route]:
    """All routes of the directory."""
    parts = (applications, principals, consent, people, roles, policies)
    return [desk.directory(method, path, endpoint) for part in parts for method, path, endpoint in part.ROUTES]
