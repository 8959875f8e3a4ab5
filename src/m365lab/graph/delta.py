"""messages/delta: what changed in a folder since last time (facts 3 [D]).

A token is all the state there is: it names the folder and the number of the last change that the client has seen, so
it survives nothing but its own mailbox. An unknown or too old one gets 410 and the address of a full round.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import asdict, dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from m365lab.graph import errors, odata
from m365lab.graph.desk import Call
from m365lab.graph.messages import folder_of
from m365lab.graph.odata import BadQuery, Comparison, Kind, Schema
from m365lab.graph.view import SELECTABLE, Style, message_id, message_json, owner_context, selected
from m365lab.mailstore import Folder, Message, Removal

LIFETIME = 30 * 86_400
"""Seconds that a token lives. Microsoft names no number for mail: it depends on an inner cache [U]."""
_FILTER: Schema = {"receivedDateTime": Kind.MOMENT}
_OPTIONS = {"$select", "$filter", "$orderby", "$top", "changeType", "$skiptoken", "$deltatoken"}
_CHANGE_TYPES = {"created", "updated", "deleted"}
_FULL = -1
_PAGE = 10
_LARGEST_PAGE = 1000


@dataclass(frozen=True)
class Token:
    """Where a client stands, and what it asked for at the start."""

    folder: str
    since: int
    """The number of the last change before this round: -1 in the first one, which tells of every message."""
    start: int
    """From here on removals are told of: the number of the last change when the round began."""
    after: int
    """The number of the last change that was sent."""
    at: int
    """When the token was given (Unix time of the lab)."""
    select: str = ""
    filter: str = ""
    change_type: str = ""

    def text(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode().rstrip("=")


def read_token(text: str) -> Token | None:
    """The token; None when it is none of ours."""
    try:
        values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        token = Token(**values)
    except (binascii.Error, ValueError, TypeError):
        return None
    numbers = (token.since, token.start, token.after, token.at)
    texts = (token.folder, token.select, token.filter, token.change_type)
    sound = all(type(number) is int for number in numbers) and all(isinstance(part, str) for part in texts)
    return token if sound else None


async def delta(call: Call) -> Response:
    """GET mailFolders/{folder}/messages/delta."""
    folder = folder_of(call)
    token = _token(call, folder)
    style = Style(
        call.immutable,
        call.preferences.get("outlook.body-content-type", "").lower() == "text",
        selected(token.select, SELECTABLE, "message"),
    )
    wanted = odata.parse_filter(token.filter, _FILTER) if token.filter else None
    size = _page_size(call)
    store = call.mailbox.store
    events = [event for event in _events(store.removals, folder, token) if event.change > token.after]
    shown: list[dict[str, Any]] = []
    last = token.after
    for event in events:
        if len(shown) == size:
            break
        last = event.change
        told = _told(event, folder, style)
        if isinstance(event, Removal) or wanted is None or odata.matches(wanted, told[1], _FILTER):
            shown.append(told[0])
    done = not events or last == events[-1].change
    now = int(call.tenant.clock.time())
    after = store.last_change if done else last
    since, start = (after, after) if done else (token.since, token.start)
    following = Token(folder.id, since, start, after, now, token.select, token.filter, token.change_type)
    kind, option = ("deltaLink", "$deltatoken") if done else ("nextLink", "$skiptoken")
    context = f"{call.base}{owner_context(call.mailbox, 'mailFolders')}('{folder.id}')/messages"
    return JSONResponse(
        {
            "@odata.context": f"{context}/$delta",
            f"@odata.{kind}": call.url({option: following.text()}),
            "value": shown,
        }
    )


def _token(call: Call, folder: Folder) -> Token:
    """Where this client stands. Raises `BadQuery`, or `GraphError` 410."""
    options = call.request.query_params
    for name in options:
        if name not in _OPTIONS:
            raise BadQuery(f"The query option '{name}' does not go with delta.")
    given = options.get("$deltatoken") or options.get("$skiptoken")
    now = int(call.tenant.clock.time())
    if given is None:
        return Token(folder.id, _FULL, call.mailbox.store.last_change, _FULL, now, *_wishes(call))
    token = read_token(given)
    too_old = token is None or token.at < now - LIFETIME or token.after > call.mailbox.store.last_change
    if token is None or too_old or token.folder != folder.id:
        raise errors.sync_state_not_found(call.plain_url)
    return token


def _wishes(call: Call) -> tuple[str, str, str]:
    """$select, $filter and changeType of a first request. Raises `BadQuery`."""
    options = call.request.query_params
    select, filter_ = options.get("$select", ""), options.get("$filter", "")
    change_type = options.get("changeType", "")
    selected(select, SELECTABLE, "message")
    if filter_:
        expression = odata.parse_filter(filter_, _FILTER)
        if not isinstance(expression, Comparison) or expression.operator not in {"ge", "gt"}:
            raise BadQuery("Delta takes only $filter=receivedDateTime ge or gt a time.")
    if options.get("$orderby", "receivedDateTime desc") != "receivedDateTime desc":
        raise BadQuery("Delta takes only $orderby=receivedDateTime desc.")
    if change_type and change_type not in _CHANGE_TYPES:
        raise BadQuery("changeType is created, updated or deleted.")
    return select, filter_, change_type


def _events(removals: list[Removal], folder: Folder, token: Token) -> list[Message | Removal]:
    """What happened in the folder since `token.since`, oldest change first.

    A client that starts gets every message. Later `changeType` picks: a message that came is not one that changed.
    """
    first = token.since == _FULL
    events: list[Message | Removal] = [
        message
        for message in folder.messages.values()
        if message.change > token.since
        and (first or token.change_type in {"", "created" if message.added > token.since else "updated"})
    ]
    if token.change_type in {"", "deleted"}:
        events += [r for r in removals if r.folder == folder.name and r.change > token.start]
    return sorted(events, key=lambda event: event.change)


def _told(event: Message | Removal, folder: Folder, style: Style) -> tuple[dict[str, Any], dict[str, Any]]:
    """The event as the answer shows it, and as the filter sees it."""
    kind = {"@odata.type": "#microsoft.graph.message"}
    if isinstance(event, Removal):
        gone = event.immutable_id if style.immutable else event.id
        return kind | {"id": gone, "@removed": {"reason": "deleted"}}, {}
    shown = message_json(event, folder, style)
    whole = shown if not style.select else message_json(event, folder, Style())
    return kind | shown | {"id": message_id(event, immutable=style.immutable)}, whole


def _page_size(call: Call) -> int:
    text = call.preferences.get("odata.maxpagesize") or call.request.query_params.get("$top") or str(_PAGE)
    return odata.whole_number(text, "odata.maxpagesize", 1, _LARGEST_PAGE)
