"""Graph reading: what is asked, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from postroom.microsoft.answers import Refused
from postroom.transports.base import Endpoint, GraphRoute, Item, Marker, OAuth, Security
from postroom.transports.folders import SENT
from postroom.transports.graph_read import GraphReader

ROOT = "https://graph.test:8443/v1.0"
ME = f"{ROOT}/users/ann@contoso.test"
DELTA = f"{ME}/mailFolders/inbox/messages/delta?$select=id,isRead,receivedDateTime"


class Graph:
    """Answers by method and URL; remembers what was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[httpx2.Request] = []
        self.slept: list[float] = []
        self.after_sleep: Callable[[], None] = lambda: None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        url = str(request.url).replace("%24", "$").replace("%2C", ",").replace("%40", "@")
        answer = self.answers[f"{request.method} {url}"]
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.after_sleep()

    def reader(self, oauth: OAuth) -> GraphReader:
        route = GraphRoute(Endpoint("graph.test", 8443, Security.TLS), oauth)
        return GraphReader(route, transport=httpx2.MockTransport(self), sleep=self.sleep)


def entry(uid: str, when: str, **more: Any) -> dict[str, Any]:
    return {"id": uid, "isRead": False, "receivedDateTime": when, **more}


async def test_delta_page_by_page_and_on(oauth: OAuth) -> None:
    page = {"value": [entry("B", "2026-11-23T10"), entry("A", "2026-11-23T09")], "@odata.nextLink": f"{ROOT}/n1"}
    empty = {"value": [{"id": "X", "@removed": {"reason": "deleted"}}], "@odata.nextLink": f"{ROOT}/n2"}
    last = {"value": [entry("C", "2026-11-23T11", isRead=True)], "@odata.deltaLink": f"{ROOT}/d1"}
    graph = Graph({f"GET {DELTA}": page, f"GET {ROOT}/n1": empty, f"GET {ROOT}/n2": last})
    reader = graph.reader(oauth)
    one = await reader.list(Marker(), limit=2)
    assert one.items == [Item("A"), Item("B")]
    two = await reader.list(one.marker, limit=2)
    assert two.items == [Item("C", seen=True)]
    assert (two.marker, two.restarted) == (Marker(f"{ROOT}/d1"), False)
    assert {request.headers["Prefer"] for request in graph.asked} == {'IdType="ImmutableId", odata.maxpagesize=2'}


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(410, json={"error": {"code": "SyncStateNotFound", "message": "gone"}}),
        httpx2.Response(400, json={"error": {"code": "resyncRequired", "message": "again"}}),
    ],
)
async def test_resync_starts_over(answer: httpx2.Response, oauth: OAuth) -> None:
    again = {"value": [entry("A", "2026")], "@odata.deltaLink": f"{ROOT}/d2"}
    graph = Graph({f"GET {ROOT}/d1": answer, f"GET {DELTA}": again})
    listing = await graph.reader(oauth).list(Marker(f"{ROOT}/d1"))
    assert (listing.items, listing.marker, listing.restarted) == ([Item("A")], Marker(f"{ROOT}/d2"), True)


async def test_the_token_goes_to_graph_only(oauth: OAuth) -> None:
    graph = Graph({f"GET {DELTA}": {"value": [], "@odata.deltaLink": f"{ROOT}/d1"}})
    listing = await graph.reader(oauth).list(Marker("https://evil.test/v1.0/steal"))
    assert listing.restarted
    assert {request.url.host for request in graph.asked} == {"graph.test"}


async def test_other_refusals_are_raised(oauth: OAuth) -> None:
    error = httpx2.Response(403, json={"error": {"code": "ErrorAccessDenied", "message": "Access is denied."}})
    with pytest.raises(Refused) as caught:
        await Graph({f"GET {DELTA}": error}).reader(oauth).list(Marker())
    assert caught.value.answer.code == "ErrorAccessDenied"


async def test_fetch_is_the_raw_message(oauth: OAuth) -> None:
    raw = b"Subject: \xff\r\n\r\n\0body"
    graph = Graph({f"GET {ME}/messages/A%2FB%3D/$value": httpx2.Response(200, content=raw)})
    assert await graph.reader(oauth).fetch("A/B=") == raw


async def test_find_quotes_what_it_looks_for(oauth: OAuth) -> None:
    graph = Graph({})
    with pytest.raises(KeyError):
        await graph.reader(oauth).find("<o'neill@x>", SENT)
    (request,) = graph.asked
    assert request.url.path.endswith("/mailFolders/sentitems/messages")
    assert request.url.params["$filter"] == "internetMessageId eq '<o''neill@x>'"


async def test_newest(oauth: OAuth) -> None:
    query = "$select=id,isRead,receivedDateTime&$orderby=receivedDateTime%20desc&$top=2"
    page = {"value": [entry("B", "2"), entry("A", "1")]}
    graph = Graph({f"GET {ME}/mailFolders/inbox/messages?{query}": page})
    assert await graph.reader(oauth).newest(2) == [Item("B"), Item("A")]


async def test_newest_beyond_the_largest_page(oauth: OAuth) -> None:
    query = "$select=id,isRead,receivedDateTime&$orderby=receivedDateTime%20desc&$top=1000"
    first = {"value": [entry("C", "3"), entry("B", "2")], "@odata.nextLink": f"{ROOT}/p2"}
    last = {"value": [entry("A", "1")], "@odata.nextLink": "https://elsewhere.example/p3"}
    graph = Graph({f"GET {ME}/mailFolders/inbox/messages?{query}": first, f"GET {ROOT}/p2": last})
    assert await graph.reader(oauth).newest(2000) == [Item("C"), Item("B"), Item("A")]


async def test_changes(oauth: OAuth) -> None:
    ok = httpx2.Response(204)
    graph = Graph({f"PATCH {ME}/messages/A": ok, f"POST {ME}/messages/A/move": ok, f"DELETE {ME}/messages/A": ok})
    reader = graph.reader(oauth)
    await reader.mark_seen("A")
    await reader.move("A", "Deleted Items")
    await reader.delete("A")
    bodies = [request.content for request in graph.asked]
    assert bodies == [b'{"isRead":true}', b'{"destinationId":"deleteditems"}', b""]


async def test_wait_asks_and_does_not_go_on(oauth: OAuth) -> None:
    quiet = {"value": [], "@odata.deltaLink": f"{ROOT}/d2"}
    graph = Graph({f"GET {DELTA}": {"value": [], "@odata.deltaLink": f"{ROOT}/d1"}, f"GET {ROOT}/d1": quiet})
    reader = graph.reader(oauth)
    listing = await reader.list(Marker())
    assert await reader.wait(70) is False
    assert graph.slept == [30, 30, 10]
    graph.after_sleep = lambda: graph.answers.update({f"GET {ROOT}/d1": {"value": [entry("A", "1")]}})
    assert await reader.wait(70) is True
    assert (await reader.list(listing.marker)).items == [Item("A")]
