"""A lab tenant without an application, an administrator who signed in, and Postroom's own verbs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from postroom.accounts.audit import Actor
from postroom.core.settings import settings
from postroom.mailboxes import connect, known_clouds
from postroom.mailboxes.models import Application, Mailbox
from postroom.mailboxes.proof import Patience as ProofPatience
from postroom.mailboxes.token_source import token_source
from postroom.microsoft.clouds import write_cloud
from postroom.tenant import seeing, service, setups, signin, verify
from postroom.tenant.calls import Cmdlet, GraphCall
from postroom.tenant.deeds import Patience
from postroom.tenant.device import Code
from postroom.tenant.local import Errand
from postroom.tenant.models import Setup
from postroom.tenant.service import Outcome, Shown
from postroom.tenant.verify import Verification
from support.lab import RunningLab

BY = Actor("admin@contoso.example", "192.0.2.1")
BOX = "postroom@contoso.example"
FROM = "support@contoso.example"
PERSON = "megan@contoso.example"
AT_ONCE = ProofPatience(read_back=15, poll=0.2, spreading=())
IMPATIENT = Patience(spreading=5, first_pause=0.2, longest_pause=0.5)
TEN_LINES = f"""\
tenant: contoso.example
cloud: lab
application: Postroom
send: smtp
read: [imap, pop, graph]
mailboxes:
  - address: {BOX}
    name: Post room
    shared: true
    also_from: [{FROM}]
"""


@pytest.fixture(scope="package")
def running_lab() -> Iterator[RunningLab]:
    with RunningLab("--empty") as lab:
        yield lab


@dataclass
class World:
    """The lab, and Postroom beside it."""

    lab: RunningLab
    home: Path

    def sign_in(self, user: str = "") -> None:
        """An administrator types the codes."""

        def type_code(code: Code, _: str) -> None:
            self.lab.control("POST", f"/device-codes/{code.user_code}", {"user": user or self.lab.administrator["upn"]})

        signin.by_device("lab", "contoso.example", type_code, BY)

    def afresh(self) -> None:
        """The tenant and Postroom's tables as at the start."""
        self.lab.reset()
        Setup.objects.all().delete()
        Mailbox.objects.all().delete()
        Application.objects.all().delete()
        token_source.cache_clear()
        self.sign_in()

    def setup(self, text: str = TEN_LINES) -> Setup:
        return setups.save(text, BY)

    def show(self, text: str = TEN_LINES) -> Shown:
        return service.show(self.setup(text), BY)

    def apply(self, text: str = TEN_LINES, **options: Any) -> Outcome:
        """Plans and does what was shown."""
        return service.apply(self.show(text).plan.hash, BY, **({"patience": IMPATIENT} | options))

    def verify(self, text: str = TEN_LINES) -> Verification:
        return verify.verify(self.setup(text), "", BY, patience=AT_ONCE)

    def application(self) -> dict[str, Any]:
        """The only application there is, as the lab has it."""
        (one,) = self.lab.control("GET", "/applications")
        return dict(one)

    def forget_tokens(self) -> None:
        """As if an hour had passed."""
        token_source.cache_clear()

    def graph(self, method: str, path: str, body: Any = None) -> Any:
        """What the administrator does by hand in the directory."""
        return self._by_hand(GraphCall(method, path, body))

    def cmdlet(self, name: str, **parameters: Any) -> Any:
        """What the administrator does by hand in Exchange."""
        return self._by_hand(Cmdlet(name, parameters))

    def _by_hand(self, call: GraphCall | Cmdlet) -> Any:
        admin = signin.administrator("lab", "contoso.example")

        async def work() -> Any:
            async with seeing.connected(admin, lambda _: None) as sight:
                return await (sight.graph.call(call) if isinstance(call, GraphCall) else sight.exchange.run(call))

        return asyncio.run(work())

    def findings(self, text: str = TEN_LINES) -> dict[str, str]:
        """Finding -> the step that mends it."""
        return {one.id: one.mended_by for one in self.show(text).plan.findings}


@pytest.fixture
def world(running_lab: RunningLab, transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    running_lab.reset()
    token_source.cache_clear()
    # Only where clouds and proxy are looked up: the database stays the tests' own.
    here = replace(settings(), home=tmp_path, proxy="")
    for module in (known_clouds, connect, seeing, signin):
        monkeypatch.setattr(module, "settings", lambda: here)
    world = World(running_lab, tmp_path)
    write_cloud(tmp_path / "clouds", running_lab.cloud)
    world.sign_in()
    return world


class Killed(BaseException):
    """The process was killed here."""


@dataclass
class Killer:
    """Kills a run before its `number`th errand: what Microsoft was asked is done, and nothing of it is stored."""

    number: int = 0
    """0: never."""
    errands: int = 0

    def run(self, errand: Errand[Any]) -> None:
        self.errands += 1
        if self.errands == self.number:
            raise Killed
        _RUN(errand)


_RUN = Errand.run


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    killer = Killer()
    monkeypatch.setattr(Errand, "run", lambda errand: killer.run(errand))  # noqa: PLW0108 - a method binds, a bound one not
    return killer
