"""Reading by Microsoft Graph: delta queries, raw MIME, immutable ids."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from postroom.microsoft.answers import Refused, Step
from postroom.transports.base import Folder, GraphRoute, Item, Listing, Marker, Observer, nobody
from postroom.transports.folders import graph_folder
from postroom.transports.graph_http import GraphClient

# Microsoft, "Get immutable identifiers for Outlook resources": ids that survive a move within the mailbox.
_IMMUTABLE = 'IdType="ImmutableId"'
_FIELDS = "id,isRead,receivedDateTime"
# Microsoft, "Delta query, synchronisation reset"; compared without case.
_RESYNC = frozenset({"syncstatenotfound", "resyncrequired", "syncstateinvalid", "resyncchangesapplydifferences"})
# Microsoft Graph, "List messages": $top takes 1 to 1000.
_LARGEST_PAGE = 1000
_POLL_EVERY = 30.0


class GraphReader:
    """See `base.Reader`. Items are immutable ids, of unknown size; a marker is the link to go on from.

    The first reading of a folder comes in pages that Graph orders; within a page the oldest comes first. A message
    that was changed since (marked seen, say) is listed again.
    """

    def __init__(
        self,
        route: GraphRoute,
        observer: Observer = nobody,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._route = route
        self._observe = observer
        self._sleep = sleep
        self._graph = GraphClient(route, observer, transport, sleep)
        self._folder = graph_folder(route.folder)
        self._last = ""
        """The link that `wait` asks, not moving on from it."""

    async def open(self) -> Folder:
        await self._graph.reach()
        found = await self._get(f"mailFolders/{quote(self._folder, safe='')}", {}, step=Step.FOLDER)
        folder = Folder(str(found.get("displayName", self._folder)), int(found.get("totalItemCount", 0)))
        self._observe(Step.FOLDER, f"{folder.name}, {folder.messages} messages")
        return folder

    async def list(self, after: Marker, limit: int = 100) -> Listing:
        link = after.value if self._is_ours(after.value) else ""
        try:
            items, link = await self._pages(link or self._from_the_start(), limit)
            restarted = bool(after.value) and not self._is_ours(after.value)
        except Refused as error:
            if error.answer.status != 410 and error.answer.code.lower() not in _RESYNC:
                raise
            items, link = await self._pages(self._from_the_start(), limit)
            restarted = True
        self._last = link
        return Listing(items, Marker(link), restarted)

    async def _pages(self, link: str, limit: int) -> tuple[Sequence[Item], str]:
        """The first page with something in it, or the last."""
        while True:
            page = await self._page(link, limit)
            items = _items(sorted(_present(page), key=lambda entry: str(entry.get("receivedDateTime", ""))))
            following = page.get("@odata.nextLink")
            link = str(following or page.get("@odata.deltaLink") or "")
            if items or not following:
                return items, link

    async def newest(self, limit: int = 50) -> Sequence[Item]:
        query = {"$select": _FIELDS, "$orderby": "receivedDateTime desc", "$top": str(min(limit, _LARGEST_PAGE))}
        page = await self._get(self._messages(self._folder), query)
        found = list(_present(page))
        while len(found) < limit and self._is_ours(following := str(page.get("@odata.nextLink", ""))):
            page = await self._page(following, _LARGEST_PAGE)
            found += _present(page)
        return _items(found[:limit])

    async def fetch(self, uid: str) -> bytes:
        response = await self._graph.request(
            "GET", self._message(uid) + "/$value", Step.READ, headers={"Prefer": _IMMUTABLE}
        )
        return response.content

    async def find(self, message_id: str, folder: str = "") -> Sequence[Item]:
        doubled = message_id.replace("'", "''")
        query = {"$filter": f"internetMessageId eq '{doubled}'", "$select": _FIELDS}
        where = graph_folder(folder) if folder else self._folder
        return _items(_present(await self._get(self._messages(where), query)))

    async def mark_seen(self, uid: str) -> None:
        await self._change("PATCH", self._message(uid), {"isRead": True})

    async def move(self, uid: str, folder: str) -> None:
        await self._change("POST", self._message(uid) + "/move", {"destinationId": graph_folder(folder)})

    async def delete(self, uid: str) -> None:
        await self._change("DELETE", self._message(uid), None)

    async def wait(self, seconds: float) -> bool:
        """Asks every half minute: Graph keeps no connection open for news."""
        left = seconds
        while True:
            if not self._last or _present(await self._page(self._last, 1)):
                return True
            if left <= 0:
                return False
            pause = min(left, _POLL_EVERY)
            await self._sleep(pause)
            left -= pause

    async def close(self) -> None:
        with contextlib.suppress(httpx2.HTTPError, OSError):
            await self._graph.close()

    # how -----------------------------------------------------------------------------------------------------

    def _messages(self, folder: str) -> str:
        return f"mailFolders/{quote(folder, safe='')}/messages"

    def _message(self, uid: str) -> str:
        return self._graph.mailbox(f"messages/{quote(uid, safe='')}")

    def _from_the_start(self) -> str:
        return self._graph.mailbox(f"{self._messages(self._folder)}/delta?{urlencode({'$select': _FIELDS}, safe='$,')}")

    def _is_ours(self, link: str) -> bool:
        """A token goes to Graph only, whatever a marker says."""
        return link.startswith(f"{self._graph.root}/")

    async def _page(self, link: str, limit: int) -> dict[str, Any]:
        if not self._is_ours(link):
            link = self._from_the_start()
        prefer = f"{_IMMUTABLE}, odata.maxpagesize={limit}"
        response = await self._graph.request("GET", link, Step.READ, headers={"Prefer": prefer})
        return _object(response)

    async def _get(self, path: str, query: dict[str, str], step: Step = Step.READ) -> dict[str, Any]:
        url = self._graph.mailbox(path) + (f"?{urlencode(query, safe='$,', quote_via=quote)}" if query else "")
        return _object(await self._graph.request("GET", url, step, headers={"Prefer": _IMMUTABLE}))

    async def _change(self, method: str, url: str, body: dict[str, Any] | None) -> None:
        await self._graph.request(method, url, Step.READ, json=body, headers={"Prefer": _IMMUTABLE})


def _object(response: httpx2.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _present(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Entries of a page that are not the trace of a deletion."""
    return [entry for entry in page.get("value", []) if "@removed" not in entry]


def _items(entries: list[dict[str, Any]]) -> Sequence[Item]:
    return [Item(str(entry["id"]), seen=bool(entry.get("isRead"))) for entry in entries]
