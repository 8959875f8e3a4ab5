"""sendMail: who gets the mail, what it looks like, where the copy lies, what is refused."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import pytest

from m365lab.faults import Fault, FaultName
from support.graph import Graph, code, to

MIME = {"Content-Type": "text/plain"}
SIGNED = (
    b"From: Notifications <notifications@contoso.example>\r\n"
    b"To: megan@contoso.example\r\n"
    b"Bcc: lee@contoso.example, out@fabrikam.example\r\n"
    b"Message-ID: <mine@sender.example>\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"X-Odd:   spaces   stay\r\n"
    b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="b"\r\n'
    b"\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nsigned  text \r\n\r\n"
    b'--b\r\nContent-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nTUlJ\r\n--b--\r\n"
)


def body_of(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[2]


def send(graph: Graph, message: dict[str, Any], **more: Any) -> httpx2.Response:
    return graph.post(f"{graph.user}/sendMail", json={"message": message, **more})


def send_mime(graph: Graph, raw: bytes) -> httpx2.Response:
    return graph.post(f"{graph.user}/sendMail", content=base64.b64encode(raw), headers=MIME)


def test_json_is_composed_delivered_and_kept(graph: Graph) -> None:
    message = {
        "subject": "Grüße, Megan",
        "body": {"contentType": "HTML", "content": "<p>Käse</p>"},
        "toRecipients": [{"emailAddress": {"address": "megan@contoso.example", "name": "Mégan"}}],
        "ccRecipients": to("out@fabrikam.example"),
        "bccRecipients": to("lee@contoso.example"),
        "replyTo": to("support@contoso.example"),
        "importance": "high",
        "internetMessageHeaders": [{"name": "x-ticket", "value": "42"}],
        "attachments": [
            {
                "@odata.type": "#microsoft.graph.fileAttachment",
                "name": "Käse.txt",
                "contentType": "text/plain",
                "contentBytes": base64.b64encode(b"cheese").decode(),
            }
        ],
    }
    answer = send(graph, message)
    assert (answer.status_code, answer.content) == (202, b"")
    got = graph.messages("megan")[0].parsed
    assert got["Subject"] == "Grüße, Megan"
    assert got["To"].addresses[0].display_name == "Mégan"
    assert (got["X-Ticket"], got["Importance"], got["Bcc"]) == ("42", "high", None)
    html = got.get_body(("html",))
    assert html is not None
    assert html.get_content().strip() == "<p>Käse</p>"
    (file,) = got.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("Käse.txt", "cheese")
    assert len(graph.messages("lee")) == 1
    assert graph.office.gone[0].recipients == ("out@fabrikam.example",)
    kept = graph.messages("notifications", "sentitems")
    assert kept[0].parsed["Message-ID"] == got["Message-ID"]
    assert kept[0].seen


def test_the_copy_is_a_choice_with_json(graph: Graph) -> None:
    assert send(graph, {"toRecipients": to("megan@contoso.example")}, saveToSentItems=False).status_code == 202
    assert graph.messages("notifications", "sentitems") == []
    assert len(graph.messages("megan")) == 1


def test_mime_goes_to_the_headers_recipients_with_its_body_untouched(graph: Graph) -> None:
    answer = send_mime(graph, SIGNED)
    assert (answer.status_code, answer.content) == (202, b"")
    got = graph.messages("megan")[0]
    assert body_of(got.raw) == body_of(SIGNED)
    assert b"X-Odd:   spaces   stay\r\n" in got.raw
    assert b"\r\nBcc:" not in got.raw
    assert len(graph.messages("lee")) == 1
    assert graph.office.gone[0].recipients == ("out@fabrikam.example",)
    # Exchange's own Message-ID, the sender's kept beside it (facts 8).
    assert got.parsed["X-Microsoft-Original-Message-ID"] == "<mine@sender.example>"
    assert got.parsed["Message-ID"] != "<mine@sender.example>"


@pytest.mark.parametrize("body", [b"not base64!", b"QUJD*", b"QUJ", base64.b64encode(b"no header at all")])
def test_bad_mime(graph: Graph, body: bytes) -> None:
    answer = graph.post(f"{graph.user}/sendMail", content=body, headers=MIME)
    assert code(answer) == (400, "ErrorMimeContentInvalidBase64String")
    assert answer.json()["error"]["message"] == "Invalid base64 string for MIME content."


def test_from_another_mailbox_needs_send_as(graph: Graph) -> None:
    message = {"from": to("support@contoso.example")[0], "toRecipients": to("megan@contoso.example")}
    answer = send(graph, message)
    assert code(answer) == (403, "ErrorSendAsDenied")
    assert graph.messages("megan") == []
    graph.mailbox("support").send_as.add("notifications@contoso.example")
    assert send(graph, message).status_code == 202
    assert graph.messages("megan")[0].parsed["From"] == "support@contoso.example"
    assert len(graph.messages("notifications", "sentitems")) == 1


def test_recipients_are_counted_and_wanted(graph: Graph) -> None:
    assert code(send(graph, {"subject": "to nobody"})) == (400, "ErrorInvalidRecipients")
    graph.tenant.limits.recipients_per_message = 2
    three = to(*(f"user{n}@fabrikam.example" for n in range(3)))
    assert code(send(graph, {"toRecipients": three})) == (400, "ErrorInvalidRecipients")
    assert send(graph, {"toRecipients": three[:2]}).status_code == 202
    graph.tenant.limits.recipients_per_day = 3
    assert code(send(graph, {"toRecipients": three[:2]})) == (429, "ErrorSubmissionQuotaExceeded")


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ({"toRecipients": [{"emailAddress": {"address": "nobody"}}]}, "ErrorInvalidRecipients"),
        ({"toRecipients": [{"address": "a@b.example"}]}, "RequestBodyRead"),
        ({"toRecipients": "a@b.example"}, "RequestBodyRead"),
        ({"subjekt": "x"}, "RequestBodyRead"),
        ({"body": "text"}, "RequestBodyRead"),
        ({"importance": "urgent"}, "RequestBodyRead"),
        ({"subject": "a\r\nBcc: evil@fabrikam.example"}, "ErrorInvalidRequest"),
        ({"internetMessageHeaders": [{"name": "List-Unsubscribe", "value": "x"}]}, "InvalidInternetMessageHeader"),
        ({"internetMessageHeaders": []}, "InvalidInternetMessageHeaderCollection"),
        (
            {"internetMessageHeaders": [{"name": f"x-{n}", "value": "x"} for n in range(6)]},
            "InvalidInternetMessageHeaderCollection",
        ),
        ({"attachments": [{"name": "a", "contentBytes": "?"}]}, "RequestBodyRead"),
    ],
)
def test_what_the_json_may_not_say(graph: Graph, message: dict[str, Any], refused: str) -> None:
    answer = send(graph, {"toRecipients": to("megan@contoso.example"), **message})
    assert code(answer) == (400, refused)
    assert graph.messages("megan") == []


def test_the_message_itself_is_wanted(graph: Graph) -> None:
    assert code(graph.post(f"{graph.user}/sendMail", json={"saveToSentItems": True})) == (400, "RequestBodyRead")


def test_a_full_mailbox(graph: Graph) -> None:
    graph.mailbox("notifications").store.quota = 100
    answer = send(graph, {"toRecipients": to("megan@contoso.example")})
    assert code(answer) == (507, "ErrorQuotaExceeded")
    assert graph.messages("megan") == []


def test_the_fault_mailbox_full(graph: Graph) -> None:
    full = Fault(FaultName.MAILBOX_FULL, values={"mailbox": "notifications@contoso.example"})
    graph.tenant.faults.switch_on(full)
    assert code(send(graph, {"toRecipients": to("megan@contoso.example")})) == (507, "ErrorQuotaExceeded")


def test_a_message_above_the_limit(graph: Graph) -> None:
    graph.tenant.limits.message_size = 1000
    answer = send(graph, {"toRecipients": to("megan@contoso.example"), "body": {"content": "x" * 1000}})
    assert code(answer) == (413, "ErrorMessageSizeExceeded")


def test_an_unknown_recipient_bounces(graph: Graph) -> None:
    assert send(graph, {"toRecipients": to("nobody@contoso.example")}).status_code == 202
    (report,) = graph.messages("notifications")
    assert report.parsed.get_content_type() == "multipart/report"
