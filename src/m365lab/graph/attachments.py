"""Attachments of a message: list, read, add in one request, and add in pieces by an upload session.

Bounds as measured at Microsoft ([I] msgraph-sdk-java#52): one request carries up to 3,145,611 bytes of file, which is
what the 4 MB limit leaves; a session starts at 2 MiB. Pieces come in order, each below 4 MB, and without a token,
since the address itself is the key (facts 3 [D]).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m365lab.exchange import Mailbox
from m365lab.graph import errors, reading, writing
from m365lab.graph.desk import Call, Desk, read_body, service_root
from m365lab.graph.errors import GraphError
from m365lab.graph.messages import message_of
from m365lab.graph.view import attachment_id, attachment_json, only, owner_context, selected
from m365lab.graph.writing import File
from m365lab.mailstore import Folder, Message
from m365lab.post import PostOffice

SESSION_AT_LEAST = 2 * 1024 * 1024
SESSION_AT_MOST = 150 * 1024 * 1024
PIECE_BELOW = 4 * 1024 * 1024
SESSION_LIFETIME = 3600.0
"""Seconds [U]."""
_RANGE = re.compile(r"bytes (\d{1,12})-(\d{1,12})/(\d{1,12})")
_PROPERTIES = {
    "id", "name", "contentType", "size", "isInline", "lastModifiedDateTime", "contentId", "contentLocation",
    "contentBytes",
}  # fmt: skip


@dataclass
class Session:
    """A file on its way."""

    mailbox: Mailbox
    message_id: str
    """Immutable id of the draft."""
    file: File
    size: int
    expires_at: float
    auth: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    content: bytearray = field(default_factory=bytearray, repr=False)


async def list_attachments(call: Call) -> Response:
    """GET messages/{id}/attachments."""
    _, message = message_of(call)
    select = selected(call.request.query_params.get("$select"), _PROPERTIES, "attachment")
    files = [only(attachment_json(file, message), select) for file in reading.attachments(message.raw)]
    return JSONResponse({"@odata.context": _context(call, message), "value": files})


async def get_attachment(call: Call) -> Response:
    """GET messages/{id}/attachments/{attachment}."""
    message, file = _file(call)
    return JSONResponse({"@odata.context": f"{_context(call, message)}/$entity"} | attachment_json(file, message))


async def attachment_bytes(call: Call) -> Response:
    """GET messages/{id}/attachments/{attachment}/$value."""
    _, file = _file(call)
    return Response(file.content, media_type=file.content_type)


async def add_attachment(call: Call) -> Response:
    """POST messages/{id}/attachments."""
    folder, draft = _draft(call)
    _attach(call.office, call.mailbox, folder, draft, writing.file_of(call.json))
    added = reading.attachments(draft.raw)[-1]
    return JSONResponse(
        {"@odata.context": f"{_context(call, draft)}/$entity"} | attachment_json(added, draft), status_code=201
    )


def _attach(office: PostOffice, mailbox: Mailbox, folder: Folder, draft: Message, file: File) -> None:
    """Puts a file into a draft. Raises `GraphError`, or `MailboxFull`."""
    raw = writing.with_file(draft.raw, file)
    if len(raw) > office.tenant.limits.message_size:
        raise errors.message_too_large()
    office.check_room(mailbox, len(raw) - len(draft.raw))
    draft.raw = raw
    mailbox.store.touch(folder, draft)


def _draft(call: Call) -> tuple[Folder, Message]:
    folder, message = message_of(call)
    if not message.is_draft:
        raise GraphError(400, "ErrorInvalidPropertySet", "Attachments can be added only to a draft.")
    return folder, message


def _file(call: Call) -> tuple[Message, reading.Attachment]:
    _, message = message_of(call)
    for file in reading.attachments(message.raw):
        if attachment_id(message, file) == call.part("attachment"):
            return message, file
    raise errors.item_not_found()


def _context(call: Call, message: Message) -> str:
    return f"{call.base}{owner_context(call.mailbox, 'messages')}('{quote(message.id)}')/attachments"


@dataclass
class Uploads:
    """The upload sessions of one Graph service."""

    desk: Desk
    sessions: dict[str, Session] = field(default_factory=dict)

    async def create(self, call: Call) -> Response:
        """POST messages/{id}/attachments/createUploadSession."""
        _, draft = _draft(call)
        item = next((value for name, value in call.json.items() if name.lower() == "attachmentitem"), None)
        file, size = _announced(item)
        now = self.desk.tenant.clock.time()
        session = Session(call.mailbox, draft.immutable_id, file, size, now + SESSION_LIFETIME)
        key = secrets.token_urlsafe(16)
        self.sessions[key] = session
        path = f"users('{quote(call.mailbox.address)}')/messages('{draft.id}')/attachmentSessions('{key}')"
        return JSONResponse(
            {
                "@odata.context": f"{call.base}$metadata#microsoft.graph.uploadSession",
                "uploadUrl": f"{call.base}{path}?authtoken={session.auth}",
                "expirationDateTime": _moment(session.expires_at),
                "nextExpectedRanges": ["0-"],
            },
            status_code=201,
        )

    async def put(self, request: Request) -> Response:
        """PUT of a piece: 200 with what is wanted next, or 201 and the attachment's address after the last one."""
        key, session = self._session(request)
        body = await read_body(request, PIECE_BELOW - 1)
        _check_piece(request.headers.get("content-range", ""), session, len(body))
        session.content += body
        if len(session.content) < session.size:
            return self._status(session)
        del self.sessions[key]
        found = session.mailbox.store.find(session.message_id)
        if found is None:
            raise errors.item_not_found()
        folder, draft = found
        done = File(
            session.file.name,
            session.file.content_type,
            bytes(session.content),
            session.file.content_id,
            session.file.inline,
        )
        _attach(self.desk.office, session.mailbox, folder, draft, done)
        added = attachment_id(draft, reading.attachments(draft.raw)[-1])
        address = f"users('{quote(session.mailbox.address)}')/messages('{draft.id}')/attachments('{added}')"
        return Response(status_code=201, headers={"Location": f"{service_root(request)}{address}"})

    async def status(self, request: Request) -> Response:
        """GET: what is wanted next."""
        return self._status(self._session(request)[1])

    async def cancel(self, request: Request) -> Response:
        """DELETE: the session ends, the file is dropped."""
        key, _ = self._session(request)
        del self.sessions[key]
        return Response(status_code=204)

    def _status(self, session: Session) -> Response:
        return JSONResponse(
            {
                "ExpirationDateTime": _moment(session.expires_at),
                "nextExpectedRanges": [str(len(session.content))],
            }
        )

    def _session(self, request: Request) -> tuple[str, Session]:
        """The session of the address. Raises `GraphError`."""
        if "authorization" in request.headers:
            # Microsoft's upload address is another host, for which a token of Graph's is a wrong one [U words].
            raise GraphError(401, "InvalidAudienceForResource", "The audience claim value is invalid for the resource.")
        now = self.desk.tenant.clock.time()
        self.sessions = {key: session for key, session in self.sessions.items() if session.expires_at > now}
        key = str(request.path_params["session"])
        session = self.sessions.get(key)
        given = request.query_params.get("authtoken", "")
        if session is None or not secrets.compare_digest(session.auth.encode(), given.encode()):
            raise errors.item_not_found()
        return key, session


def _announced(item: Any) -> tuple[File, int]:
    """Name, type and size of an `attachmentItem`. Raises `GraphError`."""
    if not isinstance(item, dict):
        raise errors.bad_body("The parameter 'AttachmentItem' is missing.")
    name, size = item.get("name"), item.get("size")
    if str(item.get("attachmentType", "")).lower() != "file" or not isinstance(name, str) or not name:
        raise errors.invalid_request("The attachment item needs attachmentType 'file' and a name.")
    if type(size) is not int:
        raise errors.invalid_request("The attachment item needs its size in bytes.")
    if size < SESSION_AT_LEAST:
        raise GraphError(
            400,
            "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
            "Attachment size must be greater than the minimum size.",
        )
    if size > SESSION_AT_MOST:
        raise GraphError(400, "ErrorAttachmentSizeLimitExceeded", "The attachment size exceeds the maximum size.")
    kind, content_id = str(item.get("contentType") or "application/octet-stream"), str(item.get("contentId") or "")
    return File(name, kind, b"", content_id, item.get("isInline") is True), size


def _check_piece(content_range: str, session: Session, length: int) -> None:
    """Refuses a piece that is not the next one [U words]."""
    match = _RANGE.fullmatch(content_range)
    if match is None:
        raise errors.invalid_request("The Content-Range header is missing or malformed: bytes 0-99/1000 is wanted.")
    first, last, size = (int(number) for number in match.groups())
    if last - first + 1 != length or size != session.size or last >= size:
        raise errors.invalid_request("The Content-Range header does not fit the body and the announced size.")
    if first != len(session.content):
        expected = f"The next expected range is {len(session.content)}-."
        raise GraphError(416, "ErrorInvalidRange", f"The pieces must come in order. {expected}")


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
