"""Exchange administration over REST, as Exchange Online PowerShell 3 does it: `InvokeCommand` (facts 4.4 [C]).

`endpoint` is HTTP: token, envelope, pages, errors. `cmdlet` is what a cmdlet is; the other files hold the cmdlets,
each file the noun it is about. What is set here is what SMTP, IMAP, POP3 and Graph then go by.
"""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from m365lab.adminapi.endpoint import AdminApi
from m365lab.tenant import Tenant


def routes(tenant: Tenant) -> list[BaseRoute]:
    """The routes, to stand beside Entra's and Graph's on the lab's HTTPS site."""
    return [Route("/adminapi/beta/{tenant}/InvokeCommand", AdminApi(tenant).invoke, methods=["POST"])]
