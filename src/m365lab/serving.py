"""The running lab: all its servers on one loop, and what to tell of them."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError

from m365lab import web
from m365lab.certificates import LOCAL_NAMES, Certificates, certificates
from m365lab.contoso import GLOBAL_ADMINISTRATOR, ReadyMade
from m365lab.entra.token_endpoint import Entra
from m365lab.guard import Guard
from m365lab.imap import start_imap
from m365lab.keeping import Keeper
from m365lab.listening import Listener
from m365lab.pop3 import start_pop3
from m365lab.post import HOST, PostOffice
from m365lab.resetting import Beginning
from m365lab.smtp import start_smtp
from m365lab.tenant import Tenant
from m365lab.works import Works

NAME = "localhost"
"""The host name that the lab's addresses carry."""


@dataclass(frozen=True)
class Ports:
    """Where to listen; 0 takes any free port."""

    https: int = 8443
    smtp: int = 1587
    imap: int = 1993
    pop: int = 1995
    introspection: int = 8480
    """Plain HTTP on loopback: for mail servers such as Dovecot, and the page."""


class Lab:
    """A tenant and its servers. `folder` keeps its state; without one everything is gone at the end."""

    def __init__(
        self,
        tenant: Tenant,
        ready: ReadyMade | None,
        ports: Ports,
        folder: Path | None = None,
        *,
        host: str = "127.0.0.1",
        open_control: bool = False,
    ) -> None:
        self.tenant = tenant
        self.ready = ready
        self.office = PostOffice(tenant)
        self.guard = Guard((NAME, *LOCAL_NAMES[1:]), open_control)
        self._wanted = ports
        self._host = host
        self._folder = folder
        self._open = AsyncExitStack()
        self._ports: Ports | None = None
        self._certificates: Certificates | None = None

    async def start(self) -> None:
        """Starts every server. Raises `OSError` when a port is taken; what was started is then stopped."""
        async with AsyncExitStack() as starting:
            await self._start(starting)
            self._open = starting.pop_all()

    async def stop(self) -> None:
        """Stops them, and saves what is to be kept."""
        await self._open.aclose()

    def describe(self) -> dict[str, Any]:
        """Every endpoint and id: the line of `--json`. Holds the lab's secrets on purpose."""
        if self._ports is None or self._certificates is None:
            raise RuntimeError("the lab is not started")
        directory = self.tenant.directory
        authority, plain = f"https://{NAME}:{self._ports.https}", f"http://127.0.0.1:{self._ports.introspection}"
        ca_file = str(self._certificates.ca_file)
        administrator = next(
            (user for user in directory.users.values() if GLOBAL_ADMINISTRATOR in user.directory_roles), None
        )
        key = f"?key={self.guard.key}" if not self.guard.is_open else ""
        return {
            "cloud": self._cloud(authority, ca_file),
            "tenant_id": directory.tenant_id,
            "domain": directory.domains[0],
            "application": self._application(),
            "mailboxes": list(self.tenant.exchange.mailboxes),
            "administrator": {"upn": administrator.upn, "password": administrator.password} if administrator else None,
            "ca_file": ca_file,
            "control": f"{authority}/lab/api",
            "control_key": "" if self.guard.is_open else self.guard.key,
            "page": f"{plain}/lab{key}",
            "introspection_url": f"{plain}/lab/introspect",
        }

    def _cloud(self, authority: str, ca_file: str) -> dict[str, str | int]:
        ports = self._ports
        if ports is None:
            raise RuntimeError("the lab is not started")
        return {
            "name": "lab",
            "title": "Microsoft 365 lab",
            "authority": authority,
            "graph": authority,
            "exchange": authority,
            "exchange_resource": "https://outlook.office365.com",
            "graph_resource": "https://graph.microsoft.com",
            "smtp_host": NAME,
            "smtp_port": ports.smtp,
            "imap_host": NAME,
            "imap_port": ports.imap,
            "pop_host": NAME,
            "pop_port": ports.pop,
            "ca_file": ca_file,
            "authserv_id": HOST,
        }

    def _application(self) -> dict[str, str] | None:
        ready = self.ready
        if ready is None:
            return None
        return {
            "name": ready.application.name,
            "client_id": ready.application.app_id,
            "object_id": ready.application.id,
            "service_principal_id": ready.principal.id,
            "secret_id": ready.secret.key_id,
            "client_secret": ready.secret.value,
            "mailbox": ready.mailbox,
        }

    async def _start(self, starting: AsyncExitStack) -> None:
        folder = self._folder or Path(starting.enter_context(tempfile.TemporaryDirectory(prefix="m365lab-")))
        self._certificates = certificates(folder / "tls")
        https = starting.enter_context(web.listening_socket(self._host, self._wanted.https))
        plain = starting.enter_context(web.listening_socket("127.0.0.1", self._wanted.introspection))
        smtp, imap, pop = await self._start_mail(starting, self._certificates)
        self._ports = Ports(https.getsockname()[1], smtp.port, imap.port, pop.port, plain.getsockname()[1])
        entra = Entra(self.tenant, f"https://{NAME}:{self._ports.https}")
        keeper = Keeper(self._folder, self.tenant, self.office, self.ready) if self._folder else None
        beginning = Beginning(self.tenant, self.office, entra)
        works = Works(self.tenant, self.office, entra, self.describe, beginning.restore)
        app = web.application(works, self.guard)
        if keeper is not None:
            await starting.enter_async_context(keeper)
            app.add_middleware(keeper.middleware)
        await _serve(starting, web.site(app, self._certificates), https)
        await _serve(starting, web.site(web.plain_application(works, self.guard)), plain)

    async def _start_mail(self, starting: AsyncExitStack, files: Certificates) -> tuple[Listener, Listener, Listener]:
        tenant, office, host, wanted = self.tenant, self.office, self._host, self._wanted
        smtp = await start_smtp(tenant, office, files.ssl_context(), host, wanted.smtp)
        starting.push_async_callback(smtp.close)
        try:
            imap = start_imap(tenant, office, files.certificate_file, files.key_file, host, wanted.imap)
            starting.push_async_callback(imap.close)
            pop = start_pop3(tenant, office, files.certificate_file, files.key_file, host, wanted.pop)
            starting.push_async_callback(pop.close)
        except CannotListenError as error:
            raise web.port_taken(host, error.port, error.socketError) from error
        return smtp, imap, pop


async def _serve(starting: AsyncExitStack, site: web.Site, bound: Any) -> None:
    """Runs an HTTP server until the stack is closed; returns once it answers."""
    task = asyncio.create_task(site.serve([bound]))

    async def stop() -> None:
        site.should_exit = True
        await task

    starting.push_async_callback(stop)
    while not site.started:
        if task.done():
            await task
            raise RuntimeError("the HTTP server did not start")
        await asyncio.sleep(0.005)
