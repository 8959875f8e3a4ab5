"""Who may: the order of the refusals and their words; faults; limits; what every answer carries."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import httpx2
import pytest

from m365lab.directory import User
from m365lab.exchange import RoleScope
from m365lab.faults import Fault, FaultName
from m365lab.hanging_up import ConnectionDropped
from support.graph import GRAPH, Graph, code

MESSAGES = "/users/notifications@contoso.example/messages"
MAIL = {"message": {"subject": "Hi", "toRecipients": [{"emailAddress": {"address": "megan@contoso.example"}}]}}


def test_a_token_of_another_resource_is_refused(graph: Graph) -> None:
    answer = graph.get(MESSAGES, token=graph.token(audience="https://outlook.office365.com"))
    assert code(answer) == (401, "InvalidAuthenticationToken")
    assert answer.json()["error"]["message"] == "Access token validation failure. Invalid audience."


def test_no_token_a_broken_one_and_an_expired_one(graph: Graph) -> None:
    assert graph.get(MESSAGES, token="").json()["error"]["message"] == "Access token is empty."
    assert "JWT is not well formed" in graph.get(MESSAGES, token="secret").json()["error"]["message"]
    head, body, signature = graph.token().split(".")
    assert code(graph.get(MESSAGES, token=f"{head}.{body}.{signature[::-1]}"))[0] == 401
    old = graph.token()
    graph.tenant.clock.skew = 7200
    answer = graph.get(MESSAGES, token=old)
    assert answer.json()["error"]["message"] == "Lifetime validation failed, the token is expired."
    assert "authorization_uri" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("role", "method", "path", "allowed"),
    [
        ("Mail.Read", "GET", MESSAGES, True),
        ("Mail.Send", "GET", MESSAGES, False),
        ("Mail.Read", "POST", MESSAGES, False),
        ("Mail.ReadWrite", "POST", MESSAGES, True),
        ("Mail.ReadWrite", "POST", "/users/notifications@contoso.example/sendMail", False),
        ("Mail.Send", "POST", "/users/notifications@contoso.example/sendMail", True),
        ("IMAP.AccessAsApp", "GET", MESSAGES, False),
    ],
)
def test_each_endpoint_wants_its_role(graph: Graph, role: str, method: str, path: str, allowed: bool) -> None:
    body = None if method == "GET" else MAIL if path.endswith("sendMail") else MAIL["message"]
    answer = graph.call(method, path, token=graph.token(role), json=body)
    assert answer.is_success is allowed
    if not allowed:
        assert code(answer) == (403, "ErrorAccessDenied")
        assert answer.json()["error"]["message"] == "Access is denied. Check credentials and try again."


def test_a_role_reaches_every_mailbox_without_full_access(graph: Graph) -> None:
    assert graph.ready.principal.id not in graph.mailbox("megan").full_access
    assert graph.get("/users/megan@contoso.example/messages").status_code == 200
    assert graph.get(f"/users/{graph.mailbox('megan').user_id}/messages").status_code == 200


def test_an_rbac_scope_reaches_its_mailboxes_only_and_adds_to_roles(graph: Graph) -> None:
    scope = RoleScope("only", graph.ready.application.app_id, "Mail.Read", {"megan@contoso.example"})
    graph.tenant.exchange.scopes.append(scope)
    nothing = graph.token("Nothing.Granted")
    assert graph.get("/users/megan@contoso.example/messages", token=nothing).status_code == 200
    assert code(graph.get("/users/lee@contoso.example/messages", token=nothing)) == (403, "ErrorAccessDenied")
    assert code(graph.delete("/users/megan@contoso.example/messages/x", token=nothing)) == (403, "ErrorAccessDenied")
    # An unscoped role defeats the scope (facts 4.3).
    assert graph.get("/users/lee@contoso.example/messages", token=graph.token("Mail.Read")).status_code == 200


def test_unknown_user_and_user_without_mailbox(graph: Graph) -> None:
    assert code(graph.get("/users/nobody@contoso.example/messages")) == (404, "ErrorInvalidUser")
    graph.tenant.directory.users["u"] = User("u", "guest@contoso.example", "Guest")
    answer = graph.get("/users/guest@contoso.example/messages")
    assert code(answer) == (404, "MailboxNotEnabledForRESTAPI")
    # Without the role nobody learns who exists.
    assert code(graph.get("/users/nobody@contoso.example/messages", token=graph.token("Mail.Send")))[0] == 403


def test_me_is_for_people_and_people_reach_their_own_mailbox_only(graph: Graph) -> None:
    assert code(graph.get("/me/messages"))[0] == 400
    megan = graph.mailbox("megan")
    token = graph.tenant.tokens.user_token("client", GRAPH, "Mail.Read", megan.user_id, megan.address)
    assert graph.get("/me/messages", token=token).status_code == 200
    assert graph.get("/users/megan@contoso.example/messages", token=token).status_code == 200
    assert code(graph.get("/users/lee@contoso.example/messages", token=token)) == (403, "ErrorAccessDenied")
    assert code(graph.post("/me/sendMail", token=token, json=MAIL)) == (403, "ErrorAccessDenied")


def test_every_answer_carries_its_ids(graph: Graph) -> None:
    mine = str(uuid.uuid4())
    good = graph.get(MESSAGES, headers={"client-request-id": mine})
    assert good.headers["client-request-id"] == mine
    assert uuid.UUID(good.headers["request-id"])
    bad = graph.get(f"{MESSAGES}/none", headers={"client-request-id": mine})
    assert bad.json()["error"]["innerError"]["client-request-id"] == mine
    assert bad.json()["error"]["innerError"]["request-id"] == bad.headers["request-id"]


def test_what_is_not_there_is_told_in_graphs_words(graph: Graph) -> None:
    assert code(graph.get("/nonsense")) == (400, "BadRequest")
    assert "segment 'nonsense'" in graph.get("/nonsense").json()["error"]["message"]
    assert code(graph.get(f"{MESSAGES}/AAMkNone")) == (404, "ErrorItemNotFound")
    assert code(graph.get("/users/megan@contoso.example/mailFolders/none/messages")) == (404, "ErrorItemNotFound")


def test_throttled_and_down_and_any_error(graph: Graph) -> None:
    faults = graph.tenant.faults
    faults.switch_on(Fault(FaultName.GRAPH_THROTTLED, 1, {"retry_after": 7}))
    answer = graph.get(MESSAGES)
    assert code(answer) == (429, "ApplicationThrottled")
    assert answer.headers["retry-after"] == "7"
    assert graph.get(MESSAGES).status_code == 200
    faults.switch_on(Fault(FaultName.GRAPH_DOWN, 1))
    assert graph.get(MESSAGES).status_code == 503
    faults.switch_on(Fault(FaultName.GRAPH_ERROR, 1, {"status": 418, "code": "Teapot", "text": "short and stout"}))
    assert code(graph.get(MESSAGES)) == (418, "Teapot")


def test_a_lost_answer_is_lost_after_the_work_was_done(graph: Graph) -> None:
    graph.tenant.faults.switch_on(Fault(FaultName.GRAPH_LOST, 1))
    with pytest.raises(ConnectionDropped):
        graph.post(f"{graph.user}/sendMail", json=MAIL)
    assert len(graph.messages("megan")) == 1


async def test_the_fifth_request_at_once_is_throttled(graph: Graph) -> None:
    """Bodies are held back until all requests are in, so that five are really in flight."""
    all_in, go = asyncio.Barrier(5), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        await all_in.wait()
        await go.wait()
        yield b"{}"

    transport = httpx2.ASGITransport(app=graph.app)
    headers = {"Authorization": f"Bearer {graph.token()}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://lab/v1.0", headers=headers) as http:
        four = [asyncio.create_task(http.post(MESSAGES, content=slowly())) for _ in range(4)]
        await all_in.wait()
        fifth = await http.get(MESSAGES)
        other = await http.get("/users/megan@contoso.example/messages")
        go.set()
        answers = await asyncio.gather(*four)
    assert code(fifth) == (429, "ApplicationThrottled")
    assert fifth.json()["error"]["message"] == "Application is over its MailboxConcurrency limit."
    assert "retry-after" in fifth.headers
    assert other.status_code == 200
    assert [answer.status_code for answer in answers] == [201] * 4


def test_the_limits_can_be_set(graph: Graph) -> None:
    graph.tenant.limits.graph_requests = 2
    assert [graph.get(MESSAGES).status_code for _ in range(3)] == [200, 200, 429]
    graph.tenant.limits.graph_requests = None
    assert graph.get(MESSAGES).status_code == 200


def test_a_body_above_the_limit_is_refused(graph: Graph) -> None:
    answer = graph.post(MESSAGES, content=b"x" * (4 * 1024 * 1024 + 1), headers={"Content-Type": "text/plain"})
    assert code(answer) == (413, "BadRequest")
    assert answer.json()["error"]["message"] == "The maximum request length supported is 4MB."


def test_bad_json_is_a_request_body_read_error(graph: Graph) -> None:
    for body in (b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000):
        answer = graph.post(MESSAGES, content=body, headers={"Content-Type": "application/json"})
        assert code(answer) == (400, "RequestBodyRead")
