"""What connections ask of the other rooms is asked rarely, and never believed for long."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from postroom.accounts import app_credentials
from postroom.accounts.app_credentials import Denied, Grant
from postroom.bridge import desk as desk_module
from postroom.bridge.desk import Desk
from postroom.bridge.values import ListenerData

HERE = "192.0.2.9"


class Credentials:
    """Stands for the tables: one app, which may be taken away."""

    def __init__(self) -> None:
        self.asked = 0
        self.gone = False

    def sign_in(self, name: str, secret: str, address: str) -> Grant:
        return self.still(Grant(1, 1, name, frozenset({7}), (), None), address, secret)

    def still(self, grant: Grant, address: str, secret: str = "right") -> Grant:
        self.asked += 1
        if self.gone or secret != "right":
            raise Denied("wrong")
        return grant


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Credentials:
    stand_in = Credentials()
    monkeypatch.setattr(app_credentials, "sign_in", stand_in.sign_in)
    monkeypatch.setattr(app_credentials, "still", stand_in.still)
    monkeypatch.setattr(desk_module, "own_addresses", lambda ids: tuple(f"box{one}@contoso.com" for one in ids))
    return stand_in


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    yield made
    made.close()


async def test_signing_in_again_and_again_asks_once(credentials: Credentials, desk: Desk) -> None:
    for _ in range(5):
        found = await desk.sign_in("payroll", "right", HERE)
    assert (found.caller.senders, found.mailbox) == (("box7@contoso.com",), 7)
    assert await desk.still(found) is found
    assert credentials.asked == 1
    # Another address or another secret is another question.
    await desk.sign_in("payroll", "right", "192.0.2.10")
    for _ in range(2):
        with pytest.raises(Denied):
            await desk.sign_in("payroll", "guess", HERE)
    assert credentials.asked == 4
    assert "right" not in repr(desk)


async def test_nothing_is_believed_for_long(credentials: Credentials, desk: Desk) -> None:
    desk.fresh_for = 0.0
    found = await desk.sign_in("payroll", "right", HERE)
    credentials.gone = True
    with pytest.raises(Denied):
        await desk.still(found)
    with pytest.raises(Denied):
        await desk.sign_in("payroll", "right", HERE)


async def test_who_need_not_sign_in(credentials: Credentials, desk: Desk) -> None:
    found = await desk.open_house(ListenerData("printers", open_mailbox=3), HERE)
    assert (found.caller.name, found.mailbox, found.caller.senders) == ("listener:printers", 3, ("box3@contoso.com",))
    named = ListenerData("scanners", open_mailbox=3, open_senders=("*@contoso.com",))
    assert (await desk.open_house(named, HERE)).caller.senders == ("*@contoso.com",)
    with pytest.raises(Denied):
        await desk.open_house(ListenerData("nobody"), HERE)
    assert credentials.asked == 0
