"""Control of mail: what lies in mailboxes, what left the tenant, mail from outside, and waiting for a message."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from m365lab.control.asking import Bad, Model, Table, body
from m365lab.control.exchange import mailbox_of
from m365lab.exchange import Mailbox
from m365lab.mailstore import Folder, Message
from m365lab.post import Gone
from m365lab.works import Works

Result = Literal["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"]
"""Results of RFC 8601 section 2.7."""


class Authentication(Model):
    spf: Result = "none"
    dkim: Result = "none"
    dmarc: Result = "none"


class FromOutside(Model):
    """A message from another organisation: `raw` as it is, or made of the other fields."""

    sender: str = "someone@example.org"
    """Envelope sender; "" for a bounce."""
    raw: str | None = None
    """The message in base64."""
    subject: str = ""
    text: str = ""
    headers: dict[str, str] = {}
    authentication: Authentication = Authentication()


class HeaderMatch(Model):
    name: str
    value: str
    """Must be contained in the header's value."""


class WaitFor(Model):
    folder: str = "inbox"
    count: int = Field(1, ge=1)
    """How many messages must match."""
    header: HeaderMatch | None = None
    timeout: float = Field(10, gt=0, le=300)
    """Seconds, by the real clock."""


def table(works: Works, routes: Table) -> None:
    """Adds the routes."""
    _reading(works, routes)
    _delivery(works, routes)
    _gone(works, routes)


def _reading(works: Works, routes: Table) -> None:
    @routes.on("GET", "/mailboxes/{address}/messages")
    async def list_messages(request: Request) -> list[Any]:
        """Of the folder `?folder=` (name or well-known name), or of all."""
        mailbox, wanted = mailbox_of(works, request), request.query_params.get("folder")
        folders = [_folder(mailbox, wanted)] if wanted else mailbox.store.folders.values()
        return [view(folder, message) for folder in folders for message in folder.messages.values()]

    @routes.on("DELETE", "/mailboxes/{address}/messages")
    async def purge(request: Request) -> None:
        mailbox = mailbox_of(works, request)
        for folder, message in list(mailbox.store.everything()):
            mailbox.store.remove(folder, message)

    @routes.on("GET", "/mailboxes/{address}/messages/{id}")
    async def show(request: Request) -> dict[str, Any]:
        return view(*_message(mailbox_of(works, request), request), whole=True)

    @routes.on("GET", "/mailboxes/{address}/messages/{id}/raw")
    async def raw(request: Request) -> Response:
        _, message = _message(mailbox_of(works, request), request)
        return Response(message.raw, media_type="message/rfc822")

    @routes.on("DELETE", "/mailboxes/{address}/messages/{id}")
    async def delete(request: Request) -> None:
        mailbox = mailbox_of(works, request)
        mailbox.store.remove(*_message(mailbox, request))


def _delivery(works: Works, routes: Table) -> None:
    @routes.on("POST", "/mailboxes/{address}/messages")
    async def deliver(request: Request) -> dict[str, Any]:
        mailbox, asked = mailbox_of(works, request), await body(request, FromOutside)
        raw = _raw(works, mailbox, asked)
        verdicts = asked.authentication.model_dump()
        inbox = _folder(mailbox, "inbox")
        next_uid = inbox.uid_next
        works.office.deliver(asked.sender, (mailbox.address,), raw, authenticated=False, verdicts=verdicts)
        if next_uid not in inbox.messages:
            raise Bad(f"The mailbox {mailbox.address} is full: purge it or raise its quota.", 409)
        return view(inbox, inbox.messages[next_uid])

    @routes.on("POST", "/mailboxes/{address}/wait")
    async def wait(request: Request) -> list[Any]:
        """Answers as soon as enough messages match; 408 when the time is over."""
        mailbox, asked = mailbox_of(works, request), await body(request, WaitFor)
        folder = _folder(mailbox, asked.folder)

        def found() -> list[Any]:
            matching = [m for m in folder.messages.values() if asked.header is None or _matches(m.raw, asked.header)]
            return [view(folder, message) for message in matching] if len(matching) >= asked.count else []

        changed = asyncio.Event()
        return await _wait(mailbox.store.watchers, lambda _: changed.set(), changed, found, asked.timeout)


def _gone(works: Works, routes: Table) -> None:
    office = works.office

    @routes.on("GET", "/gone")
    async def list_gone(_: Request) -> list[Any]:
        return [gone_view(number, gone) for number, gone in enumerate(office.gone)]

    @routes.on("DELETE", "/gone")
    async def forget(_: Request) -> None:
        office.gone.clear()

    @routes.on("GET", "/gone/{number:int}/raw")
    async def raw(request: Request) -> Response:
        number = request.path_params["number"]
        if number >= len(office.gone):
            raise Bad(f"No message {number} has left the tenant: there are {len(office.gone)}.", 404)
        return Response(office.gone[number].raw, media_type="message/rfc822")

    @routes.on("POST", "/gone/wait")
    async def wait(request: Request) -> list[Any]:
        asked = await body(request, WaitFor)

        def found() -> list[Any]:
            matching = [
                gone_view(number, gone)
                for number, gone in enumerate(office.gone)
                if asked.header is None or _matches(gone.raw, asked.header)
            ]
            return matching if len(matching) >= asked.count else []

        changed = asyncio.Event()
        return await _wait(office.watchers, changed.set, changed, found, asked.timeout)


async def _wait(
    watchers: list[Any],
    watcher: Callable[..., None],
    changed: asyncio.Event,
    found: Callable[[], list[Any]],
    limit: float,
) -> list[Any]:
    """What `found` finds, looked for again after each change. Raises `Bad` 408."""
    watchers.append(watcher)
    try:
        async with asyncio.timeout(limit):
            while not (result := found()):
                await changed.wait()
                changed.clear()
            return result
    except TimeoutError as error:
        raise Bad(f"No such message within {limit} seconds.", 408) from error
    finally:
        if watcher in watchers:
            watchers.remove(watcher)


def view(folder: Folder, message: Message, *, whole: bool = False) -> dict[str, Any]:
    """A message; with `whole` its text too."""
    return {
        "id": message.immutable_id,
        "uid": message.uid,
        "folder": folder.name,
        "flags": sorted(message.flags),
        "received_at": message.received_at,
    } | content(message.parsed, len(message.raw), whole=whole)


def gone_view(number: int, gone: Gone) -> dict[str, Any]:
    """A message that left the tenant, with its envelope."""
    parsed = Message(gone.raw, gone.at).parsed
    return {"number": number, "sender": gone.sender, "recipients": list(gone.recipients), "at": gone.at} | content(
        parsed, len(gone.raw), whole=True
    )


def content(parsed: EmailMessage, size: int, *, whole: bool) -> dict[str, Any]:
    """Subject, header fields in their order, and the text if `whole`."""
    values: dict[str, Any] = {
        "subject": _field(parsed, "Subject"),
        "from": _field(parsed, "From"),
        "to": _field(parsed, "To"),
        "message_id": _field(parsed, "Message-ID").strip(),
        "headers": [[name, str(value)] for name, value in parsed.items()],
        "size": size,
    }
    if whole:
        values["text"] = text_of(parsed)
        values["attachments"] = [part.get_filename() or part.get_content_type() for part in parsed.iter_attachments()]
    return values


def text_of(parsed: EmailMessage) -> str:
    """The readable part: plain text, or the source of the HTML, which is never shown as HTML."""
    part = parsed.get_body(("plain", "html"))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, UnicodeError, KeyError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _field(parsed: EmailMessage, name: str) -> str:
    return str(parsed.get(name, ""))


def _matches(raw: bytes, wanted: HeaderMatch) -> bool:
    values = Message(raw, 0).parsed.get_all(wanted.name, [])
    return any(wanted.value in str(value) for value in values)


def _raw(works: Works, mailbox: Mailbox, asked: FromOutside) -> bytes:
    if asked.raw is not None:
        try:
            return base64.b64decode(asked.raw, validate=True)
        except binascii.Error as error:
            raise Bad("raw: is not base64; encode the message's bytes as standard base64.") from error
    message = EmailMessage()
    message["From"], message["To"] = asked.sender or "postmaster@example.org", mailbox.address
    message["Subject"] = asked.subject
    message["Date"] = formatdate(works.tenant.clock.time())
    message["Message-ID"] = make_msgid(domain="example.org")
    for name, value in asked.headers.items():
        del message[name]
        try:
            message[name] = value
        except ValueError as error:
            raise Bad(f"headers.{name}: {error}") from error
    message.set_content(asked.text)
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


def _folder(mailbox: Mailbox, key: str) -> Folder:
    found = mailbox.store.folder(key)
    if found is None:
        raise Bad(f"No folder {key}; there are {', '.join(mailbox.store.folders)}.", 404)
    return found


def _message(mailbox: Mailbox, request: Request) -> tuple[Folder, Message]:
    found = mailbox.store.find(request.path_params["id"])
    if found is None:
        raise Bad(f"No message {request.path_params['id']} in {mailbox.address}.", 404)
    return found
