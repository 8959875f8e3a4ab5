"""HTTP to Microsoft: waiting when asked to, paging, lost answers told apart, request ids, round trips counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from postroom.microsoft.answers import Refused, Service
from postroom.microsoft.clouds import clouds
from postroom.tenant.calls import Change, Cmdlet, GraphCall
from postroom.tenant.exchange import RestExchange
from postroom.tenant.graph import Graph
from postroom.tenant.trips import Trips, together
from postroom.tenant.web import NoAnswer, Web

Handler = Callable[[httpx2.Request], httpx2.Response]
THROTTLED = {"error": {"code": "TooManyRequests", "message": "slow down"}}


class Far:
    """A far side that answers from a list, and notes what it was asked."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []
        self.slept: list[float] = []
        self.told: list[str] = []
        self.web = Web(
            clouds()["global"],
            tell=self.told.append,
            sleep=self._sleep,
            transport=httpx2.MockTransport(self._answer),
            patience=60,
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    @property
    def graph(self) -> Graph:
        return Graph(self.web, token)

    def exchange(self, person: str = "") -> RestExchange:
        return RestExchange(self.web, token, "tenant-id", person)


async def token() -> str:
    return "t0ken"


def reply(status: int = 200, body: Any = None, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, json=body, headers={key.replace("_", "-"): value for key, value in headers.items()})


async def test_retry_after_is_waited_for_and_the_whole_body_goes_again() -> None:
    far = Far(reply(429, THROTTLED, Retry_After="7"), reply(503, THROTTLED), reply(201, {"id": "1"}))
    assert await far.graph.call(GraphCall("POST", "/applications", {"displayName": "x"})) == {"id": "1"}
    assert far.slept == [7.0, 2.0]
    assert [json.loads(one.content) for one in far.asked] == [{"displayName": "x"}] * 3
    assert far.web.trips == Trips(3, 3)
    assert "asks to wait 7 s" in far.told[0]


async def test_patience_ends() -> None:
    far = Far(reply(429, THROTTLED, Retry_After="61"))
    with pytest.raises(Refused) as caught:
        await far.graph.get("/organization")
    assert caught.value.answer.status == 429
    assert caught.value.answer.retry_after == 61


async def test_pages_are_followed() -> None:
    next_link = "https://graph.microsoft.com/v1.0/users?$skiptoken=x"
    far = Far(reply(200, {"value": [{"id": 1}], "@odata.nextLink": next_link}), reply(200, {"value": [{"id": 2}]}))
    assert await far.graph.all("/users") == [{"id": 1}, {"id": 2}]
    assert str(far.asked[1].url) == next_link


async def test_errors_bear_code_text_and_request_id() -> None:
    error = {"code": "Authorization_RequestDenied", "message": "Insufficient", "innerError": {"request-id": "r-1"}}
    far = Far(reply(403, {"error": error}))
    with pytest.raises(Refused) as caught:
        await far.graph.get("/x")
    answer = caught.value.answer
    assert (answer.service, answer.code, answer.text) == (Service.GRAPH, "Authorization_RequestDenied", "Insufficient")
    assert answer.request_id == "r-1"


async def test_absent_is_none() -> None:
    assert await Far(reply(404, {"error": {"code": "Request_ResourceNotFound"}})).graph.find("/users/x") is None


async def test_lost_answers_are_told_apart() -> None:
    """A read goes out again; what may have been done does not."""
    lost = httpx2.ReadError("connection reset")
    reading = Far(lost, reply(200, {"value": []}))
    assert await reading.graph.all("/users") == []
    making = Far(lost)
    with pytest.raises(NoAnswer):
        await making.graph.call(GraphCall("POST", "/applications", {}))
    gateway = Far(reply(504, {"error": {"code": "GatewayTimeout"}}))
    with pytest.raises(NoAnswer):
        await gateway.graph.call(GraphCall("POST", "/applications", {}))
    unreachable = Far(httpx2.ConnectError("refused"))
    with pytest.raises(Refused) as caught:
        await unreachable.graph.call(GraphCall("POST", "/applications", {}))
    assert not isinstance(caught.value, NoAnswer)
    assert caught.value.answer.service is Service.NETWORK


async def test_invoke_command_is_as_exchange_takes_it() -> None:
    far = Far(reply(200, {"value": [{"Name": "a"}]}), reply(200, {"value": []}))
    cmdlet = Cmdlet(
        "Set-Mailbox", {"Identity": "s@x", "GrantSendOnBehalfTo": Change("add", ("p@x",)), "Confirm": False}
    )
    assert await far.exchange().run(cmdlet) == [{"Name": "a"}]
    request = far.asked[0]
    assert str(request.url) == "https://outlook.office365.com/adminapi/beta/tenant-id/InvokeCommand"
    assert request.headers["X-AnchorMailbox"] == "APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}@tenant-id"
    assert request.headers["X-CmdletName"] == "Set-Mailbox"
    assert json.loads(request.content) == {
        "CmdletInput": {
            "CmdletName": "Set-Mailbox",
            "Parameters": {
                "Identity": "s@x",
                "GrantSendOnBehalfTo": {"@odata.type": "#Exchange.GenericHashTable", "add": "p@x"},
                "Confirm": False,
            },
        }
    }
    await far.exchange("admin@x").run(Cmdlet("Get-Mailbox"))
    assert far.asked[1].headers["X-AnchorMailbox"] == "UPN:admin@x"


async def test_the_same_body_goes_to_each_next_page() -> None:
    link = "https://outlook.office365.com/adminapi/beta/tenant-id/InvokeCommand?$skiptoken=1"
    far = Far(reply(200, {"value": [1], "@odata.nextLink": link}), reply(200, {"value": [2]}))
    assert await far.exchange().run(Cmdlet("Get-Mailbox")) == [1, 2]
    assert far.asked[0].content == far.asked[1].content
    assert str(far.asked[1].url) == link


NOT_FOUND = {
    "error": {
        "code": "NotFound",
        "message": "Error executing cmdlet",
        "details": [
            {
                "code": "Context",
                "message": "Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|"
                "The operation couldn't be performed because object 'x' couldn't be found on 'S'.",
            }
        ],
    }
}


async def test_exchange_errors_are_taken_apart() -> None:
    far = Far(reply(404, NOT_FOUND, request_id="r-2"), reply(404, NOT_FOUND))
    with pytest.raises(Refused) as caught:
        await far.exchange().run(Cmdlet("Get-Mailbox", {"Identity": "x"}))
    answer = caught.value.answer
    assert answer.code == "ManagementObjectNotFoundException"
    assert answer.text.startswith("The operation couldn't be performed")
    assert answer.request_id == "r-2"
    assert await far.exchange().find(Cmdlet("Get-Mailbox", {"Identity": "x"})) == []


async def test_a_refusal_that_is_no_json_is_borne() -> None:
    far = Far(httpx2.Response(403, content=b"\x00\x00"))
    with pytest.raises(Refused) as caught:
        await far.exchange().run(Cmdlet("Get-Mailbox"))
    assert (caught.value.answer.code, caught.value.answer.text) == ("HTTP403", "")


async def test_crowded_tenant_is_waited_for() -> None:
    text = "You have reached the maximum number of concurrent requests per tenant. Please wait and try again"
    far = Far(httpx2.Response(400, text=text), reply(200, {"value": []}))
    assert await far.exchange().run(Cmdlet("Get-Mailbox")) == []
    assert far.slept == [1.0]


async def test_independent_trips_are_not_dependent() -> None:
    far = Far(*(reply(200, {"value": []}) for _ in range(5)))

    async def two() -> None:
        await far.graph.all("/a")
        await far.graph.all("/b")

    await together(two(), far.graph.all("/c"), far.graph.all("/d"))
    await far.graph.all("/e")
    assert far.web.trips == Trips(5, 3)


async def test_first_failure_ends_the_others() -> None:
    ended = asyncio.Event()

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(Refused):
        await together(long(), Far(reply(403, {"error": {"code": "x"}})).graph.get("/x"))
    assert ended.is_set()
