"""Sending by Microsoft Graph, with the envelope winning exactly (docs/decisions/0010-graph-sending.md).

Graph knows no envelope: it reads the recipients from the headers, or from a draft's properties. So:

- To and Cc name exactly the envelope, and the message is small: `sendMail` with the MIME as it is;
- else: a draft made from the MIME, its recipients set to the envelope, and sent;
- above the request limit: the draft is made from the MIME without its largest attachments, which are then put in,
  by upload session where they are large themselves.

A draft that was half made is deleted. An answer lost at the very send is `Unanswered`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx2

from postroom.mail.adapt import without
from postroom.mail.envelope import Envelope
from postroom.mail.message import Attachment, Message
from postroom.mail.mixed import Part, mixed
from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.transports.base import (
    Accepted,
    GraphRoute,
    Observer,
    Rejected,
    SendResult,
    Unanswered,
    nobody,
)
from postroom.transports.graph_http import GraphClient, NoAnswer
from postroom.transports.graph_message import (
    ATTACHMENT_LIMIT,
    REQUEST_LIMIT,
    as_attachment,
    as_json,
    recipients,
    says_the_same,
    wire_size,
)

_MIME = {"Content-Type": "text/plain"}
# Microsoft, "Attach large files": pieces below 4 MB, of multiples of 320 KiB.
_PIECE = 12 * 320 * 1024


class GraphSender:
    """See `base.Sender`."""

    def __init__(
        self,
        route: GraphRoute,
        observer: Observer = nobody,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._route = route
        self._observe = observer
        self._graph = GraphClient(route, observer, transport, sleep)

    async def open(self) -> None:
        await self._graph.reach()

    async def send(self, envelope: Envelope, message: bytes) -> SendResult:
        message = without(message, "Bcc", "Resent-Bcc")
        view = Message(message)
        try:
            if not envelope.recipients:
                raise Refused(Answer(Service.GRAPH, Step.RECIPIENT, "ErrorInvalidRecipients", "no recipients"))
            if not self._route.save_to_sent and wire_size(message) < REQUEST_LIMIT:
                json = as_json(view, envelope)
                if json is not None:
                    return await self._send_mail(json={"message": json, "saveToSentItems": False})
            if says_the_same(view, envelope) and wire_size(message) < REQUEST_LIMIT:
                return await self._send_mail(content=base64.b64encode(message), headers=_MIME)
            return await self._by_draft(envelope, view)
        except Refused as error:
            return Rejected(error.answer)

    async def close(self) -> None:
        with contextlib.suppress(httpx2.HTTPError, OSError):
            await self._graph.close()

    async def _send_mail(self, **request: Any) -> SendResult:
        return await self._final("sendMail", "", **request)

    async def _final(self, path: str, message_id: str, **request: Any) -> SendResult:
        """The request that sends. Raises `Refused` when it was not carried out."""
        try:
            response = await self._graph.request("POST", self._graph.mailbox(path), Step.DATA, once=True, **request)
        except NoAnswer as error:
            return Unanswered(error.answer)
        request_id = response.headers.get("request-id", "")
        answer = Answer(
            Service.GRAPH,
            Step.DATA,
            str(response.status_code),
            "accepted",
            status=response.status_code,
            request_id=request_id,
        )
        self._observe(Step.DATA, f"{response.status_code} request-id {request_id}")
        return Accepted(answer, message_id=message_id)

    async def _by_draft(self, envelope: Envelope, view: Message) -> SendResult:
        stripped, attachments = _fitting(view)
        made = await self._graph.request(
            "POST",
            self._graph.mailbox("messages"),
            Step.SENDER,
            content=base64.b64encode(stripped),
            headers=_MIME,
        )
        draft = made.json()
        path = f"messages/{quote(draft['id'], safe='')}"
        self._observe(Step.SENDER, "draft made")
        try:
            for attachment in attachments:
                await self._attach(path, attachment)
            await self._graph.request(
                "PATCH", self._graph.mailbox(path), Step.RECIPIENT, json=recipients(view, envelope)
            )
            self._observe(Step.RECIPIENT, ", ".join(envelope.recipients))
            return await self._final(f"{path}/send", str(draft.get("internetMessageId") or ""))
        except BaseException:
            with contextlib.suppress(Refused):
                await self._graph.request("DELETE", self._graph.mailbox(path), Step.DATA)
            raise

    async def _attach(self, path: str, attachment: Attachment) -> None:
        if attachment.size < ATTACHMENT_LIMIT and wire_size(attachment.content) < REQUEST_LIMIT * 0.9:
            await self._graph.request(
                "POST", self._graph.mailbox(f"{path}/attachments"), Step.DATA, json=as_attachment(attachment)
            )
            return
        item = {
            "attachmentType": "file",
            "name": attachment.filename,
            "contentType": attachment.content_type,
            "size": attachment.size,
        }
        session = await self._graph.request(
            "POST",
            self._graph.mailbox(f"{path}/attachments/createUploadSession"),
            Step.DATA,
            json={"AttachmentItem": item},
        )
        url = str(session.json()["uploadUrl"])
        for start in range(0, attachment.size, _PIECE):
            piece = attachment.content[start : start + _PIECE]
            span = f"bytes {start}-{start + len(piece) - 1}/{attachment.size}"
            headers = {"Content-Type": "application/octet-stream", "Content-Range": span}
            # The URL is its own authority: with a token, Outlook refuses.
            await self._graph.request("PUT", url, Step.DATA, content=piece, headers=headers, authorised=False)
            self._observe(Step.DATA, f"{attachment.filename}: {span}")


def _fitting(view: Message) -> tuple[bytes, list[Attachment]]:
    """The MIME that fits one request, and the attachments that were taken out of it, largest first.

    Raises `Refused` for a message that cannot be taken apart, such as a signed or encrypted one.
    """
    if wire_size(view.raw) < REQUEST_LIMIT:
        return view.raw, []
    whole = mixed(view.raw)
    gone: list[Part] = []
    taken: list[Attachment] = []
    candidates = [(part, _file(part)) for part in whole.parts[1:]] if whole else []
    for part, file in sorted(candidates, key=lambda pair: pair[0].start - pair[0].end):
        if whole is None or file is None:
            continue
        gone.append(part)
        taken.append(file)
        stripped = whole.without(gone)
        if wire_size(stripped) < REQUEST_LIMIT:
            return stripped, taken
    raise Refused(
        Answer(
            Service.GRAPH,
            Step.DATA,
            "ErrorMessageSizeExceeded",
            f"the message has {view.size} bytes and cannot be taken apart to fit Graph's 4 MB a request;"
            " send this mailbox by SMTP",
            status=413,
        )
    )


def _file(part: Part) -> Attachment | None:
    """The part as a file; None for text to read, and for messages in the message."""
    if part.view.content_type.startswith(("multipart/", "message/")):
        return None
    return next(iter(part.view.attachments()), None)
