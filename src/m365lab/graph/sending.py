"""sendMail, and sending a draft. Graph knows no envelope: the recipients are those of To, Cc and Bcc (facts 8)."""

from __future__ import annotations

from starlette.responses import Response

from m365lab.graph import errors, mime, reading, writing
from m365lab.graph.desk import Call
from m365lab.graph.messages import message_of, mime_of
from m365lab.mailstore import Message


async def send_mail(call: Call) -> Response:
    """POST sendMail: 202 with an empty body, which says accepted and not delivered (facts 3 [D])."""
    now = call.tenant.clock.time()
    if call.media_type == "text/plain":
        # Exchange gives such mail its own Message-ID and always keeps it in Sent Items (facts 8 [U], [I]).
        submit(call, writing.complete(mime_of(call.body), call.mailbox, now), keep=True, restamp=True)
        return Response(status_code=202)
    arguments = {name.lower(): value for name, value in call.json.items()}
    message, keep = arguments.get("message"), arguments.get("savetosentitems", True)
    if not isinstance(message, dict):
        raise errors.bad_body("The parameter 'Message' of the action 'sendMail' is missing.")
    if not isinstance(keep, bool):
        raise errors.bad_body("Cannot convert the literal of SaveToSentItems to the expected type 'Edm.Boolean'.")
    submit(call, writing.compose(message, call.mailbox, now), keep=keep, restamp=False)
    return Response(status_code=202)


async def send_draft(call: Call) -> Response:
    """POST messages/{id}/send: the draft leaves for Sent Items and keeps its immutable id."""
    folder, draft = message_of(call)
    if not draft.is_draft:
        raise errors.GraphError(400, "ErrorInvalidRequest", "Only a draft can be sent.")
    kept = submit(call, draft.raw, keep=True, restamp=False)
    call.mailbox.store.remove(folder, draft)
    if kept is not None:
        kept.immutable_id, kept.categories = draft.immutable_id, draft.categories
    return Response(status_code=202)


def submit(call: Call, raw: bytes, *, keep: bool, restamp: bool) -> Message | None:
    """Hands a message over to everyone in its header. Raises `GraphError`; returns the copy in Sent Items."""
    limits, now = call.tenant.limits, call.tenant.clock.time()
    mail = reading.read(raw)
    recipients = tuple(dict.fromkeys(r["emailAddress"]["address"] for r in mail.to + mail.cc + mail.bcc))
    if not recipients:
        raise errors.invalid_recipients("A message can't be sent because it contains no recipients.")
    if len(recipients) > limits.recipients_per_message:
        raise errors.invalid_recipients(f"The message has more than {limits.recipients_per_message} recipients.")
    if len(raw) > limits.message_size:
        raise errors.message_too_large()
    if len(recipients) > limits.recipients_left(call.mailbox.address, now):
        raise errors.submission_quota()
    sender = mail.from_["emailAddress"]["address"] if mail.from_ else call.mailbox.address
    without_bcc = mime.set_fields(raw, {"Bcc": b""})
    return call.office.submit(call.mailbox, sender, recipients, without_bcc, keep=keep, restamp=restamp).kept
