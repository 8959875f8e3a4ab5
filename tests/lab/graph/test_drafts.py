"""Drafts: from JSON and from MIME, changed, filled with files, sent; and what must survive all that."""

from __future__ import annotations

import base64
import json
from email.headerregistry import Address
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m365lab.graph import mime, reading
from m365lab.graph.view import SELECTABLE, Style, attachment_json, message_json
from m365lab.mailstore import Folder, Message
from support.graph import Graph, code, to

MIME = {"Content-Type": "text/plain"}
SIGNED = (
    b"From: notifications@contoso.example\r\n"
    b"To: first@fabrikam.example,\r\n\tsecond@fabrikam.example\r\n"
    b"Message-ID: <mine@sender.example>\r\n"
    b"Subject: signed\r\n"
    b"X-Odd:   spaces   stay\r\n"
    b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="b"\r\n'
    b"\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nsigned  text \r\n\r\n"
    b'--b\r\nContent-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nTUlJ\r\n--b--\r\n"
)
MIB = 1024 * 1024


def draft(graph: Graph, message: dict[str, Any] | bytes) -> dict[str, Any]:
    """A new draft, as Graph answers it."""
    if isinstance(message, bytes):
        answer = graph.post(f"{graph.user}/messages", content=base64.b64encode(message), headers=MIME)
    else:
        answer = graph.post(f"{graph.user}/messages", json=message)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def path(graph: Graph, made: dict[str, Any]) -> str:
    return f"{graph.user}/messages/{made['id']}"


def test_a_draft_is_in_drafts_until_it_is_sent(graph: Graph) -> None:
    made = draft(graph, {"subject": "Hello", "toRecipients": to("megan@contoso.example")})
    assert made["isDraft"] is True
    assert made["internetMessageId"].endswith("exchangelabs.com>")
    assert [m.id for m in graph.messages("notifications", "drafts")] == [made["id"]]
    answer = graph.post(f"{path(graph, made)}/send")
    assert (answer.status_code, answer.content) == (202, b"")
    assert graph.messages("notifications", "drafts") == []
    (kept,) = graph.messages("notifications", "sentitems")
    (got,) = graph.messages("megan")
    assert got.parsed["Message-ID"] == kept.parsed["Message-ID"] == made["internetMessageId"]
    assert kept.is_draft is False
    assert code(graph.post(f"{graph.user}/messages/{kept.id}/send"))[0] == 400


def test_the_immutable_id_follows_a_draft_to_sent_items(graph: Graph) -> None:
    prefer = {"Prefer": 'IdType="ImmutableId"'}
    answer = graph.post(f"{graph.user}/messages", json={"toRecipients": to("lee@contoso.example")}, headers=prefer)
    assert answer.headers["preference-applied"] == 'IdType="ImmutableId"'
    at = f"{graph.user}/messages/{answer.json()['id']}"
    assert graph.post(f"{at}/send", headers=prefer).status_code == 202
    sent = graph.get(at, headers=prefer).json()
    folder = graph.mailbox("notifications").store.folder("sentitems")
    assert folder is not None
    assert (sent["isDraft"], sent["parentFolderId"]) == (False, folder.id)


def test_a_signed_mail_survives_new_recipients(graph: Graph) -> None:
    made = draft(graph, SIGNED)
    assert made["internetMessageId"] == "<mine@sender.example>"
    change = {
        "toRecipients": to("megan@contoso.example"),
        "ccRecipients": [],
        "bccRecipients": to("lee@contoso.example", "out@fabrikam.example"),
    }
    changed = graph.patch(path(graph, made), json=change)
    assert [r["emailAddress"]["address"] for r in changed.json()["bccRecipients"]] == [
        "lee@contoso.example",
        "out@fabrikam.example",
    ]
    assert graph.post(f"{path(graph, made)}/send").status_code == 202
    expected = SIGNED.replace(
        b"To: first@fabrikam.example,\r\n\tsecond@fabrikam.example\r\n", b"To: megan@contoso.example\r\n"
    )
    without_date = mime.set_fields(graph.messages("notifications", "sentitems")[0].raw, {"Date": b""})
    assert without_date == expected
    assert len(graph.messages("lee")) == 1
    assert graph.office.gone[0].recipients == ("out@fabrikam.example",)


def test_a_patch_changes_what_it_names(graph: Graph) -> None:
    made = draft(graph, {"subject": "one", "body": {"contentType": "text", "content": "old"}})
    changed = graph.patch(
        path(graph, made),
        json={
            "subject": "Zwei ✓",
            "body": {"contentType": "html", "content": "<b>new</b>"},
            "isRead": False,
            "categories": ["Blue"],
            "flag": {"flagStatus": "flagged"},
            "importance": "low",
        },
    ).json()
    assert (changed["subject"], changed["isRead"], changed["categories"]) == ("Zwei ✓", False, ["Blue"])
    assert (changed["flag"]["flagStatus"], changed["importance"]) == ("flagged", "low")
    assert changed["body"]["contentType"] == "html"
    assert "<b>new</b>" in changed["body"]["content"]
    assert changed["internetMessageId"] == made["internetMessageId"]


def test_what_a_patch_may_not_do(graph: Graph) -> None:
    made = draft(graph, {"subject": "one"})
    late = graph.patch(path(graph, made), json={"internetMessageHeaders": [{"name": "x-a", "value": "b"}]})
    assert code(late) == (400, "ErrorInvalidRequest")
    assert code(graph.patch(path(graph, made), json={"isRead": "yes"})) == (400, "RequestBodyRead")
    got = graph.deliver("notifications", "from outside")
    answer = graph.patch(f"{graph.user}/messages/{got.id}", json={"subject": "mine now", "isRead": True})
    assert code(answer) == (400, "ErrorInvalidPropertySet")
    assert got.seen is False


def test_a_small_file_in_one_request(graph: Graph) -> None:
    made = draft(
        graph, {"body": {"contentType": "text", "content": "see file"}, "toRecipients": to("lee@contoso.example")}
    )
    file = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": "data.bin",
        "contentType": "application/x-data",
        "contentBytes": base64.b64encode(bytes(range(256))).decode(),
    }
    added = graph.post(f"{path(graph, made)}/attachments", json=file)
    assert added.status_code == 201
    listed = graph.get(f"{path(graph, made)}/attachments").json()["value"]
    assert [(a["name"], a["size"], a["contentType"]) for a in listed] == [("data.bin", 256, "application/x-data")]
    assert listed[0]["contentBytes"] == file["contentBytes"]
    assert listed[0]["id"] == added.json()["id"]
    raw = graph.get(f"{path(graph, made)}/attachments/{listed[0]['id']}/$value")
    assert raw.content == bytes(range(256))
    assert graph.get(path(graph, made)).json()["hasAttachments"] is True
    assert graph.get(f"{path(graph, made)}/attachments?$select=name").json()["value"][0].keys() == {
        "@odata.type",
        "name",
    }


def upload(graph: Graph, made: dict[str, Any], size: int) -> str:
    item = {"attachmentType": "file", "name": "big.bin", "size": size}
    answer = graph.post(f"{path(graph, made)}/attachments/createUploadSession", json={"AttachmentItem": item})
    assert answer.status_code == 201
    assert answer.json()["nextExpectedRanges"] == ["0-"]
    return str(answer.json()["uploadUrl"])


def put(graph: Graph, url: str, content: bytes, first: int, size: int, **more: Any) -> Any:
    span = f"bytes {first}-{first + len(content) - 1}/{size}"
    return graph.call("PUT", url, token="", content=content, headers={"Content-Range": span}, **more)


def test_a_large_file_in_pieces(graph: Graph) -> None:
    made = draft(graph, SIGNED)
    content = bytes(range(256)) * 4 * 5 * 1024
    url = upload(graph, made, len(content))
    middle = put(graph, url, content[: 3 * MIB], 0, len(content))
    assert middle.status_code == 200
    assert middle.json()["nextExpectedRanges"] == [str(3 * MIB)]
    asked = graph.call("GET", url, token="")
    assert asked.json()["nextExpectedRanges"] == [str(3 * MIB)]
    last = put(graph, url, content[3 * MIB :], 3 * MIB, len(content))
    assert (last.status_code, last.content) == (201, b"")
    assert graph.get(last.headers["location"]).json()["size"] == len(content)
    assert graph.patch(path(graph, made), json={"toRecipients": to("megan@contoso.example")}).status_code == 200
    assert graph.post(f"{path(graph, made)}/send").status_code == 202
    got = graph.messages("megan")[0]
    assert reading.attachments(got.raw)[-1].content == content
    # What was signed is inside, byte by byte.
    assert SIGNED.partition(b"\r\n\r\n")[2] in got.raw


def test_pieces_out_of_order_too_large_or_with_a_token_are_refused(graph: Graph) -> None:
    made = draft(graph, {"toRecipients": to("megan@contoso.example")})
    size = 6 * MIB
    url = upload(graph, made, size)
    assert code(put(graph, url, b"x" * MIB, MIB, size)) == (416, "ErrorInvalidRange")
    assert code(put(graph, url, b"x" * MIB, 0, size - 1))[0] == 400
    assert code(put(graph, url, b"x" * 4 * MIB, 0, size))[0] == 413
    assert code(graph.call("PUT", url, content=b"x", headers={"Content-Range": f"bytes 0-0/{size}"}))[0] == 401
    assert code(graph.call("PUT", url, token="", content=b"x"))[0] == 400
    assert code(put(graph, url.partition("?")[0] + "?authtoken=guess", b"x", 0, size))[0] == 404
    assert put(graph, url, b"x" * MIB, 0, size).status_code == 200
    assert graph.call("DELETE", url, token="").status_code == 204
    assert code(put(graph, url, b"x" * MIB, MIB, size))[0] == 404


def test_an_upload_session_expires(graph: Graph) -> None:
    made = draft(graph, {"toRecipients": to("megan@contoso.example")})
    url = upload(graph, made, 3 * MIB)
    graph.tenant.clock.skew = 3700
    assert code(put(graph, url, b"x" * MIB, 0, 3 * MIB))[0] == 404


@pytest.mark.parametrize(
    ("item", "refused"),
    [
        ({"attachmentType": "file", "name": "a", "size": MIB}, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"),
        ({"attachmentType": "file", "name": "a", "size": 151 * MIB}, "ErrorAttachmentSizeLimitExceeded"),
        ({"attachmentType": "item", "name": "a", "size": 3 * MIB}, "ErrorInvalidRequest"),
        ({"attachmentType": "file", "name": "a"}, "ErrorInvalidRequest"),
        (None, "RequestBodyRead"),
    ],
)
def test_which_files_get_a_session(graph: Graph, item: dict[str, Any] | None, refused: str) -> None:
    made = draft(graph, {"subject": "x"})
    answer = graph.post(f"{path(graph, made)}/attachments/createUploadSession", json={"AttachmentItem": item})
    assert code(answer) == (400, refused)


def test_a_draft_grows_only_to_the_limit(graph: Graph) -> None:
    made = draft(graph, {"subject": "x"})
    graph.tenant.limits.message_size = 1000
    file = {"name": "a", "contentBytes": base64.b64encode(b"x" * 1000).decode()}
    assert code(graph.post(f"{path(graph, made)}/attachments", json=file)) == (413, "ErrorMessageSizeExceeded")
    graph.tenant.limits.message_size = 10**6
    graph.mailbox("notifications").store.quota = 1000
    assert code(graph.post(f"{path(graph, made)}/attachments", json=file)) == (507, "ErrorQuotaExceeded")
    assert graph.get(f"{path(graph, made)}/attachments").json()["value"] == []


_lines = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), max_size=8)
_bodies = st.binary(max_size=300)


@given(_lines, _bodies, st.lists(st.sampled_from(["a@x.example", "b@x.example", "ü@x.example"]), max_size=3))
def test_new_recipients_change_one_line(subjects: list[str], body: bytes, addresses: list[str]) -> None:
    other = b"".join(f"X-Line-{n}: {text}\r\n".encode() for n, text in enumerate(subjects))
    raw = b"To: old@x.example\r\n" + other + b"\r\n" + body
    line = mime.address_line("To", [Address("", *a.split("@")) for a in addresses])
    assert mime.set_fields(raw, {"To": line}) == line + other + b"\r\n" + body


@given(
    _bodies,
    st.binary(max_size=200),
    st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=40),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_file_put_in_comes_out_and_the_rest_stays(body: bytes, content: bytes, name: str) -> None:
    raw = b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + body
    once = mime.attach(raw, mime.attachment_part(name, "application/x-data", content, inline=False))
    twice = mime.attach(once, mime.attachment_part("second", "text/plain", b"2", inline=False))
    assert body in twice
    assert [file.content for file in reading.attachments(twice)] == [content, b"2"]


@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: f"From: {text}\r\n\r\nx".encode())))
def test_any_bytes_can_be_shown(raw: bytes) -> None:
    message = Message(raw, 0.0)
    shown = message_json(message, Folder("INBOX", "inbox"), Style(select=tuple(SELECTABLE)))
    files = [attachment_json(file, message) for file in reading.attachments(raw)]
    assert json.dumps([shown, files], ensure_ascii=False).encode()


def test_an_address_beyond_ascii_is_a_recipient_too(graph: Graph) -> None:
    made = draft(graph, {"toRecipients": to("grüße@fabrikam.example")})
    assert made["toRecipients"][0]["emailAddress"]["address"] == "grüße@fabrikam.example"
    assert graph.post(f"{path(graph, made)}/send").status_code == 202
    assert graph.office.gone[0].recipients == ("grüße@fabrikam.example",)
