"""The directory half of Graph: applications, service principals, consent, people, roles, policies.

Read `rights` for who may do what, then `applications` and `principals`.
"""

from __future__ import annotations

from starlette.routing import Route

from m365lab.graph.desk import Desk
from m365lab.graph.directory.applications import ROUTES as APPLICATIONS
from m365lab.graph.directory.consent import ROUTES as CONSENT
from m365lab.graph.directory.people import ROUTES as PEOPLE
from m365lab.graph.directory.policies import ROUTES as POLICIES
from m365lab.graph.directory.principals import ROUTES as PRINCIPALS
from m365lab.graph.directory.roles import ROUTES as ROLES


def directory_routes(desk: Desk) -> list[Route]:
    """All routes of the directory."""
    routes = (*APPLICATIONS, *PRINCIPALS, *CONSENT, *PEOPLE, *ROLES, *POLICIES)
    return [desk.directory(method, path, endpoint) for method, path, endpoint in routes]
