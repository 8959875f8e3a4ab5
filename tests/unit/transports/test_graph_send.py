"""Graph sending against a small model of Graph: what it keeps is what a mailbox would have sent."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from postroom.mail.addresses import Address
from postroom.mail.compose import Draft, compose
from postroom.mail.envelope import Envelope
from postroom.mail.message import Attachment, Message
from postroom.microsoft.answers import Service, Step
from postroom.transports.base import Accepted, Endpoint, GraphRoute, OAuth, Rejected, Security, Unanswered
from postroom.transports.graph_send import GraphSender

from .conftest import Tokens

WHEN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
ANN, BOB, EVE = Address("ann@contoso.test", "Ann"), Address("bob@contoso.test", "Bob"), Address("eve@contoso.test")
LIMIT = 4 * 1024 * 1024
ME = "/v1.0/users/ann@contoso.test"

Answering = Callable[[httpx2.Request], httpx2.Response | Exception | None]


@dataclass
class Graph:
    """Drafts, attachments and what was sent; `before` may answer in its place."""

    before: Answering = lambda request: None
    requests: list[httpx2.Request] = field(default_factory=list)
    drafts: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def sender(self, oauth: OAuth, **more: Any) -> GraphSender:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        route = GraphRoute(Endpoint("graph.test", 443, Security.TLS), oauth, **more)
        return GraphSender(route, transport=httpx2.MockTransport(self), sleep=sleep)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        assert len(request.content) <= LIMIT, "413: the body is above 4 MB"
        early = self.before(request)
        if isinstance(early, Exception):
            raise early
        return early if early is not None else self.answer(request)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "upload.test":
            return self.upload(request)
        assert request.headers["Authorization"].startswith("Bearer token-")
        path = request.url.path.removeprefix(ME)
        if path == "/sendMail":
            return self.send_mail(request)
        if path == "/messages":
            self.drafts["D=1"] = {"mime": base64.b64decode(request.content), "files": {}}
            return httpx2.Response(201, json={"id": "D=1", "internetMessageId": "<given@graph.test>"})
        draft = self.drafts["D=1"]
        match request.method, path.removeprefix("/messages/D=1"):
            case "PATCH", "":
                draft |= json.loads(request.content)
                return httpx2.Response(200, json={})
            case "DELETE", "":
                del self.drafts["D=1"]
                return httpx2.Response(204)
            case "POST", "/attachments":
                file = json.loads(request.content)
                draft["files"][file["name"]] = base64.b64decode(file["contentBytes"])
                return httpx2.Response(201, json={})
            case "POST", "/attachments/createUploadSession":
                item = json.loads(request.content)["AttachmentItem"]
                draft["files"][item["name"]] = b""
                url = f"https://upload.test/{item['name']}?size={item['size']}"
                return httpx2.Response(201, json={"uploadUrl": url})
            case "POST", "/send":
                self.sent.append(self.drafts.pop("D=1"))
                return httpx2.Response(202, headers={"request-id": "r-1"})
        raise AssertionError(f"{request.method} {path}")

    def send_mail(self, request: httpx2.Request) -> httpx2.Response:
        if request.headers["Content-Type"] == "text/plain":
            self.sent.append({"mime": base64.b64decode(request.content, validate=True)})
        else:
            self.sent.append(json.loads(request.content))
        return httpx2.Response(202, headers={"request-id": "r-1"})

    def upload(self, request: httpx2.Request) -> httpx2.Response:
        assert "Authorization" not in request.headers
        name, size = request.url.path.strip("/"), int(request.url.params["size"])
        files = self.drafts["D=1"]["files"]
        span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.headers["Content-Range"])
        assert span is not None
        first, last, total = map(int, span.groups())
        assert (first, total, last - first + 1) == (len(files[name]), size, len(request.content))
        assert last + 1 == size or len(request.content) % (320 * 1024) == 0
        files[name] += request.content
        return httpx2.Response(201 if last + 1 == size else 200, json={})


def addresses(recipients: list[dict[str, Any]]) -> list[str]:
    return [recipient["emailAddress"]["address"] for recipient in recipients]


def mail(**more: Any) -> bytes:
    return compose(Draft(**{"sender": ANN, "to": (BOB,), "subject": "x", "text": "hello", **more}), "<1@x>", WHEN)


TO_BOB = Envelope("ann@contoso.test", ("bob@contoso.test",))
SIGNED = (
    b"From: ann@contoso.test\r\nTo: Bob <BOB@contoso.test>\r\nSubject: x\r\n"
    b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nodd  \xff bytes\r\n"
    b"--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nMIIB\r\n--b--\r\n"
)


async def test_headers_that_say_the_envelope_go_as_they_are(oauth: OAuth) -> None:
    graph = Graph()
    result = await graph.sender(oauth).send(TO_BOB, SIGNED)
    assert isinstance(result, Accepted)
    assert (result.answer.service, result.answer.request_id) == (Service.GRAPH, "r-1")
    assert graph.sent == [{"mime": SIGNED}]


@pytest.mark.parametrize(
    ("recipients", "to", "cc", "bcc"),
    [
        (("bob@contoso.test", "eve@contoso.test", "zed@contoso.test"), ["bob@contoso.test"], ["eve@contoso.test"],
         ["zed@contoso.test"]),
        (("bob@contoso.test",), ["bob@contoso.test"], [], []),
        (("zed@contoso.test",), [], [], ["zed@contoso.test"]),
    ],
)  # fmt: skip
async def test_the_envelope_wins(
    recipients: tuple[str, ...], to: list[str], cc: list[str], bcc: list[str], oauth: OAuth
) -> None:
    graph = Graph()
    message = mail(cc=(EVE,)).replace(b"Subject:", b"Bcc: mal@evil.test\r\nSubject:")
    result = await graph.sender(oauth).send(Envelope("ann@contoso.test", recipients), message)
    assert isinstance(result, Accepted)
    assert result.message_id == "<given@graph.test>"
    (sent,) = graph.sent
    assert sent["mime"] == mail(cc=(EVE,))
    kinds = ("toRecipients", "ccRecipients", "bccRecipients")
    assert [addresses(sent[kind]) for kind in kinds] == [to, cc, bcc]


async def test_large_attachments_are_put_in_later(oauth: OAuth) -> None:
    graph = Graph()
    files = (
        Attachment("small.txt", "application/pdf", b"s" * 1000),
        Attachment("huge.bin", "application/zip", bytes(range(256)) * 40_000),
        Attachment("middle.bin", "image/png", b"m" * 2_900_000),
    )
    message = mail(attachments=files, headers=(("X-Kept", "yes"),))
    assert isinstance(await graph.sender(oauth).send(TO_BOB, message), Accepted)
    (sent,) = graph.sent
    assert addresses(sent["toRecipients"]) == ["bob@contoso.test"]
    left = Message(sent["mime"])
    assert left.header("X-Kept") == "yes"
    assert left.text() == "hello\r\n"
    in_mime = {part.filename: part.content for part in left.attachments()}
    assert not set(in_mime) & set(sent["files"])
    assert in_mime | sent["files"] == {file.filename: file.content for file in files}
    assert "huge.bin" in sent["files"]


async def test_no_log_holds_a_token_or_the_authority_of_an_upload(
    oauth: OAuth, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = Attachment("huge.bin", "application/zip", b"h" * 5_000_000)
    assert isinstance(await Graph().sender(oauth).send(TO_BOB, mail(attachments=(file,))), Accepted)
    assert "upload.test" not in caplog.text
    assert "token-" not in caplog.text


async def test_base64_is_counted(oauth: OAuth) -> None:
    """3.2 MB of message are 4.3 MB of request."""
    graph = Graph()
    message = mail(attachments=(Attachment("a.bin", "image/png", b"a" * 2_400_000),))
    assert 3_200_000 < len(message) < 4_000_000
    assert isinstance(await graph.sender(oauth).send(TO_BOB, message), Accepted)
    assert graph.sent[0]["files"] == {"a.bin": b"a" * 2_400_000}


async def test_what_cannot_be_taken_apart_is_not_sent_broken(oauth: OAuth) -> None:
    graph = Graph()
    result = await graph.sender(oauth).send(TO_BOB, SIGNED.replace(b"odd", b"odd" * 2_000_000))
    assert isinstance(result, Rejected)
    assert result.answer.status == 413
    assert "by SMTP" in result.answer.text
    assert graph.requests == []


async def test_no_copy_in_sent_items_where_nothing_is_lost(oauth: OAuth) -> None:
    graph = Graph()
    message = mail(bcc=(EVE,), html="<p>hello</p>", attachments=(Attachment("a", "image/png", b"\0"),))
    envelope = Envelope("ann@contoso.test", ("bob@contoso.test", "eve@contoso.test"))
    assert isinstance(await graph.sender(oauth, save_to_sent=False).send(envelope, message), Accepted)
    (sent,) = graph.sent
    assert sent["saveToSentItems"] is False
    json_message = sent["message"]
    assert json_message["body"] == {"contentType": "HTML", "content": "<p>hello</p>\r\n"}
    assert addresses(json_message["toRecipients"] + json_message["bccRecipients"]) == list(envelope.recipients)
    assert json_message["attachments"][0]["contentBytes"] == "AA=="
    assert json_message["internetMessageId"] == "<1@x>"


@pytest.mark.parametrize("message", [SIGNED, mail(headers=(("In-Reply-To", "<0@x>"),))])
async def test_a_copy_rather_than_a_broken_message(message: bytes, oauth: OAuth) -> None:
    graph = Graph()
    await graph.sender(oauth, save_to_sent=False).send(TO_BOB, message)
    assert graph.sent == [{"mime": message}]


# errors ----------------------------------------------------------------------------------------------------


def refusal(status: int, code: str, text: str, **headers: str) -> httpx2.Response:
    inner = {"date": "2026-11-23T09:30:00", "request-id": "r-9"}
    body = {"error": {"code": code, "message": text, "innerError": inner}}
    return httpx2.Response(status, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()})


def first(times: int, answer: httpx2.Response | Exception, where: str = "") -> Answering:
    """Answers so the first times that the path ends so."""
    left = [times]

    def before(request: httpx2.Request) -> httpx2.Response | Exception | None:
        if request.url.path.endswith(where) and left[0] > 0:
            left[0] -= 1
            return answer
        return None

    return before


async def test_short_retry_after_is_waited_for_and_all_is_sent_again(oauth: OAuth) -> None:
    throttled = refusal(
        429, "ApplicationThrottled", "Application is over its MailboxConcurrency limit.", Retry_After="7"
    )
    graph = Graph(first(2, throttled))
    assert isinstance(await graph.sender(oauth).send(TO_BOB, SIGNED), Accepted)
    assert graph.slept == [7.0, 7.0]
    assert {request.content for request in graph.requests} == {base64.b64encode(SIGNED)}
    assert len(graph.sent) == 1


@pytest.mark.parametrize(("after", "seconds", "slept"), [("120", 120.0, 0), ("3", 3.0, 3)])
async def test_throttled_for_long(after: str, seconds: float, slept: int, oauth: OAuth) -> None:
    graph = Graph(first(99, refusal(429, "ApplicationThrottled", "slow down", Retry_After=after)))
    result = await graph.sender(oauth).send(TO_BOB, SIGNED)
    assert isinstance(result, Rejected)
    assert (result.answer.status, result.answer.code) == (429, "ApplicationThrottled")
    assert result.answer.retry_after == seconds
    assert len(graph.slept) == slept


async def test_retry_after_as_a_date_of_the_servers_clock(oauth: OAuth) -> None:
    dates = {"Retry_After": "Mon, 23 Nov 2026 10:00:30 GMT", "Date": "Mon, 23 Nov 2026 09:00:00 GMT"}
    graph = Graph(first(1, refusal(503, "ServiceNotAvailable", "", **dates)))
    result = await graph.sender(oauth).send(TO_BOB, SIGNED)
    assert isinstance(result, Rejected)
    assert result.answer.retry_after == 3630.0


async def test_after_401_one_new_token(oauth: OAuth, tokens: Tokens) -> None:
    graph = Graph(first(1, refusal(401, "InvalidAuthenticationToken", "expired")))
    assert isinstance(await graph.sender(oauth).send(TO_BOB, SIGNED), Accepted)
    assert [request.headers["Authorization"] for request in graph.requests] == ["Bearer token-1", "Bearer token-2"]


async def test_after_a_second_401_no_more(oauth: OAuth, tokens: Tokens) -> None:
    graph = Graph(first(9, refusal(401, "InvalidAuthenticationToken", "Invalid audience.")))
    result = await graph.sender(oauth).send(TO_BOB, SIGNED)
    assert isinstance(result, Rejected)
    assert (result.answer.code, result.answer.request_id) == ("InvalidAuthenticationToken", "r-9")
    assert tokens.number == 2


async def test_refused_draft_is_deleted(oauth: OAuth) -> None:
    graph = Graph(first(1, refusal(403, "ErrorSendAsDenied", "no right"), "/send"))
    result = await graph.sender(oauth).send(Envelope("", ("zed@contoso.test",)), SIGNED)
    assert isinstance(result, Rejected)
    assert (result.answer.code, result.answer.status, result.answer.step) == ("ErrorSendAsDenied", 403, Step.DATA)
    assert graph.drafts == {}


@pytest.mark.parametrize(
    "lost",
    [
        httpx2.ReadError("reset"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("Server disconnected without sending a response."),
        httpx2.Response(504, text="gateway"),
    ],
)
@pytest.mark.parametrize(("recipient", "path"), [("bob@contoso.test", "/sendMail"), ("zed@contoso.test", "/send")])
async def test_answer_lost_at_the_send(lost: Any, recipient: str, path: str, oauth: OAuth) -> None:
    graph = Graph(first(1, lost, path))
    result = await graph.sender(oauth).send(Envelope("", (recipient,)), SIGNED)
    assert isinstance(result, Unanswered)
    assert not any(request.method == "DELETE" for request in graph.requests)


@pytest.mark.parametrize("error", [httpx2.ConnectError("no"), httpx2.ConnectTimeout("no"), httpx2.WriteError("no")])
async def test_nothing_was_handed_over(error: Exception, oauth: OAuth) -> None:
    result = await Graph(first(1, error)).sender(oauth).send(TO_BOB, SIGNED)
    assert isinstance(result, Rejected)
    assert result.answer.service is Service.NETWORK


async def test_answer_lost_before_the_send_is_no_doubt(oauth: OAuth) -> None:
    graph = Graph(first(1, httpx2.ReadError("reset"), "/messages"))
    assert isinstance(await graph.sender(oauth).send(Envelope("", ("zed@contoso.test",)), SIGNED), Rejected)


async def test_what_is_no_json_is_shown(oauth: OAuth) -> None:
    result = await Graph(first(1, httpx2.Response(400, text="<html>\nBad"))).sender(oauth).send(TO_BOB, SIGNED)
    assert isinstance(result, Rejected)
    assert (result.answer.code, result.answer.text) == ("400", "<html> Bad")


async def test_no_token_over_plain_http(oauth: OAuth) -> None:
    graph = Graph()
    route = GraphRoute(Endpoint("graph.test", 80, Security.NONE), oauth)
    result = await GraphSender(route, transport=httpx2.MockTransport(graph)).send(TO_BOB, SIGNED)
    assert isinstance(result, Rejected)
    assert (result.answer.code, graph.requests) == ("tls", [])
