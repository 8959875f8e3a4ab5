"""Messages in a mailbox: list, read, raw bytes, draft, patch, move, copy, delete."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from starlette.responses import JSONResponse, Response

from m365lab.graph import errors, mime, writing
from m365lab.graph.desk import Call
from m365lab.graph.listing import page, read_query
from m365lab.graph.view import FILTERABLE, SELECTABLE, Style, message_json, owner_context, selected
from m365lab.mailstore import Folder, Message


async def list_all(call: Call) -> Response:
    """GET messages: of every folder."""
    return _listed(call, list(call.mailbox.store.everything()), "messages")


async def list_folder(call: Call) -> Response:
    """GET mailFolders/{folder}/messages."""
    folder = folder_of(call)
    items = [(folder, message) for message in folder.messages.values()]
    return _listed(call, items, f"mailFolders('{call.part('folder')}')/messages")


def _listed(call: Call, items: list[tuple[Folder, Message]], context: str) -> Response:
    query = read_query(call, FILTERABLE, default_top=10, most=1000)
    style = style_of(call)
    everything = Style(style.immutable, style.text_body)
    items.sort(key=lambda item: (item[1].received_at, item[1].change), reverse=True)

    def show(item: tuple[Folder, Message], whole: bool) -> dict[str, Any]:
        return message_json(item[1], item[0], everything if whole else style)

    return JSONResponse(page(call, query, items, owner_context(call.mailbox, context), FILTERABLE, show))


async def get(call: Call) -> Response:
    """GET messages/{id}."""
    return shown(call, *message_of(call))


async def raw(call: Call) -> Response:
    """GET messages/{id}/$value: the message's bytes as they are stored."""
    _, message = message_of(call)
    return Response(message.raw, media_type="text/plain")


async def create(call: Call) -> Response:
    """POST messages: a draft, from JSON or from MIME (text/plain, base64)."""
    folder = folder_of(call) if "folder" in call.request.path_params else _folder(call, "drafts")
    now = call.tenant.clock.time()
    wanted: dict[str, Any] = {}
    if call.media_type == "text/plain":
        content = writing.complete(mime_of(call.body), call.mailbox, now)
    else:
        wanted = call.json
        content = writing.compose(wanted, call.mailbox, now)
    _check_stored(wanted)
    draft = call.office.keep(call.mailbox, folder.id, content, {"\\Seen"})
    draft.is_draft = True
    _store(draft, wanted)
    return shown(call, folder, draft, status=201)


async def patch(call: Call) -> Response:
    """PATCH messages/{id}: what belongs to the mail only while it is a draft."""
    folder, message = message_of(call)
    changes = call.json
    writing.check_names(changes)
    _check_stored(changes)
    of_the_mail = {name: value for name, value in changes.items() if name in writing.OF_THE_MAIL}
    if of_the_mail and not message.is_draft:
        raise errors.GraphError(
            400, "ErrorInvalidPropertySet", f"Property '{min(of_the_mail)}' is read-only once the message is sent."
        )
    if of_the_mail:
        message.raw = writing.change(message.raw, of_the_mail)
    _store(message, changes)
    call.mailbox.store.touch(folder, message)
    return shown(call, folder, message)


async def delete(call: Call) -> Response:
    """DELETE messages/{id}: to Deleted Items; from there for good."""
    folder, message = message_of(call)
    if folder.well_known == "deleteditems":
        call.mailbox.store.remove(folder, message)
    else:
        call.mailbox.store.move(folder, message, _folder(call, "deleteditems"))
    return Response(status_code=204)


async def delete_for_good(call: Call) -> Response:
    """POST messages/{id}/permanentDelete."""
    call.mailbox.store.remove(*message_of(call))
    return Response(status_code=204)


async def move(call: Call) -> Response:
    """POST messages/{id}/move: another default id, the same immutable one (facts 3)."""
    folder, message = message_of(call)
    target = _destination(call)
    return shown(call, target, call.mailbox.store.move(folder, message, target), status=201)


async def copy(call: Call) -> Response:
    """POST messages/{id}/copy: another message, under ids of its own."""
    _, message = message_of(call)
    target = _destination(call)
    made = call.office.keep(call.mailbox, target.id, message.raw, set(message.flags))
    made.is_draft, made.received_at, made.categories = message.is_draft, message.received_at, list(message.categories)
    return shown(call, target, made, status=201)


def mime_of(body: bytes) -> bytes:
    """The message in a base64 body. Raises `GraphError` in the words of facts 3 [D]."""
    try:
        content = base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.bad_mime() from error
    content = mime.with_crlf(content)
    if not mime.split(content)[0]:
        raise errors.bad_mime()
    return content


def message_of(call: Call) -> tuple[Folder, Message]:
    """The message that the URL names. Raises `GraphError` ErrorItemNotFound."""
    found = call.mailbox.store.find(call.part("message"))
    if found is None or ("folder" in call.request.path_params and found[0] is not folder_of(call)):
        raise errors.item_not_found()
    return found


def folder_of(call: Call) -> Folder:
    """The folder that the URL names, by id or well-known name. Raises `GraphError` ErrorItemNotFound."""
    return _folder(call, call.part("folder"))


def _folder(call: Call, key: str) -> Folder:
    for folder in call.mailbox.store.folders.values():
        if key == folder.id or (folder.well_known and key.lower() == folder.well_known):
            return folder
    raise errors.item_not_found()


def _destination(call: Call) -> Folder:
    names = {name.lower(): value for name, value in call.json.items()}
    key = names.get("destinationid")
    if not isinstance(key, str) or not key:
        raise errors.invalid_request("The parameter 'DestinationId' is missing.")
    return _folder(call, key)


def style_of(call: Call) -> Style:
    """How this client wants messages. Raises `BadQuery`."""
    return Style(
        immutable=call.immutable,
        text_body=call.preferences.get("outlook.body-content-type", "").lower() == "text",
        select=selected(call.request.query_params.get("$select"), SELECTABLE, "message"),
    )


def shown(call: Call, folder: Folder, message: Message, *, status: int = 200) -> Response:
    """One message as the answer."""
    context = f"{call.base}{owner_context(call.mailbox, 'messages/$entity')}"
    return JSONResponse({"@odata.context": context} | message_json(message, folder, style_of(call)), status)


def _check_stored(changes: dict[str, Any]) -> None:
    """Refuses values of the wrong type before anything is changed."""
    for name, kind in (("isRead", bool), ("categories", list), ("flag", dict)):
        if changes.get(name) is not None and not isinstance(changes[name], kind):
            raise errors.bad_body(f"Cannot convert the literal of '{name}' to the expected type.")


def _store(message: Message, changes: dict[str, Any]) -> None:
    """Keeps what belongs to the stored item and not to the mail."""
    if isinstance(changes.get("isRead"), bool):
        (message.flags.add if changes["isRead"] else message.flags.discard)("\\Seen")
    if "categories" in changes:
        message.categories = [str(name) for name in changes["categories"] or []]
    if isinstance(changes.get("flag"), dict):
        flagged = changes["flag"].get("flagStatus") == "flagged"
        (message.flags.add if flagged else message.flags.discard)("\\Flagged")
