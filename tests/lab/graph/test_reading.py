"""Lists, single messages, folders, moves, and delta."""

from __future__ import annotations

from typing import Any

import pytest

from support.graph import Graph, code

IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
INBOX = "/users/notifications@contoso.example/mailFolders/inbox/messages"
MESSAGES = "/users/notifications@contoso.example/messages"
DELTA = f"{INBOX}/delta?$select=subject"


def fill(graph: Graph, count: int) -> None:
    """Messages "mail 0" to "mail N", a minute apart, the last one newest."""
    for number in range(count):
        graph.tenant.clock.skew = 60.0 * number
        graph.deliver("notifications", f"mail {number}", sender=f"user{number % 2}@fabrikam.example")


def subjects(body: dict[str, Any]) -> list[str]:
    return [item["subject"] for item in body["value"]]


def test_newest_first_in_pages_of_ten(graph: Graph) -> None:
    fill(graph, 12)
    first = graph.get(f"{INBOX}?$select=subject&$count=true").json()
    assert subjects(first) == [f"mail {n}" for n in range(11, 1, -1)]
    assert first["@odata.count"] == 12
    second = graph.get(first["@odata.nextLink"]).json()
    assert subjects(second) == ["mail 1", "mail 0"]
    assert "@odata.nextLink" not in second
    assert set(first["value"][0]) == {"@odata.etag", "id", "subject"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("$top=2", ["mail 4", "mail 3"]),
        ("$top=2&$skip=2", ["mail 2", "mail 1"]),
        ("$orderby=subject", ["mail 0", "mail 1", "mail 2", "mail 3", "mail 4"]),
        ("$filter=isRead eq true", ["mail 0"]),
        ("$filter=internetMessageId eq '<mail-3@fabrikam.example>'", ["mail 3"]),
        ("$filter=from/emailAddress/address eq 'USER1@fabrikam.example'", ["mail 3", "mail 1"]),
        ("$filter=isRead eq false and startswith(subject,'mail 1')", ["mail 1"]),
        ("$filter=isRead eq false&$orderby=isRead,subject", None),
        ("$filter=subject ge 'mail 3'&$orderby=subject desc", ["mail 4", "mail 3"]),
    ],
)
def test_query_options(graph: Graph, options: str, expected: list[str] | None) -> None:
    fill(graph, 5)
    graph.messages("notifications")[0].flags.add("\\Seen")
    answer = graph.get(f"{INBOX}?{options}")
    if expected is None:
        assert code(answer) == (400, "InefficientFilter")
    else:
        assert subjects(answer.json()) == expected


def test_filter_by_time(graph: Graph) -> None:
    fill(graph, 4)
    middle = graph.get(f"{INBOX}?$filter=subject eq 'mail 1'").json()["value"][0]["receivedDateTime"]
    after = graph.get(INBOX, params={"$filter": f"receivedDateTime gt {middle}", "$orderby": "receivedDateTime"})
    assert subjects(after.json()) == ["mail 2", "mail 3"]


@pytest.mark.parametrize(
    "options",
    [
        "$select=nothing",
        "$top=0",
        "$top=many",
        "$skip=-1",
        "$filter=isRead is",
        "$orderby=body",
        "$search=x",
        "$expand=x",
    ],
)
def test_a_wrong_option_is_named(graph: Graph, options: str) -> None:
    answer = graph.get(f"{INBOX}?{options}")
    assert code(answer) == (400, "RequestBroker--ParseUri")
    assert answer.json()["error"]["message"]


def test_messages_of_all_folders(graph: Graph) -> None:
    fill(graph, 1)
    graph.post("/users/notifications@contoso.example/messages", json={"subject": "draft"})
    assert set(subjects(graph.get(MESSAGES).json())) == {"mail 0", "draft"}


def test_raw_bytes_are_exact_and_one_message_is_whole(graph: Graph) -> None:
    got = graph.deliver("notifications", "odd", extra="X-Odd:  two  spaces \r\n")
    raw = graph.get(f"{MESSAGES}/{got.id}/$value")
    assert raw.content == got.raw
    one = graph.get(f"{MESSAGES}/{got.id}", headers={"Prefer": 'outlook.body-content-type="text"'}).json()
    assert (one["subject"], one["body"]["contentType"], one["bodyPreview"]) == ("odd", "text", "Hello")
    assert "internetMessageHeaders" not in one
    headers = graph.get(f"{MESSAGES}/{got.id}?$select=internetMessageHeaders").json()["internetMessageHeaders"]
    assert {"name": "X-Odd", "value": "two spaces"} in headers


def test_keys_in_parentheses_and_folders_by_id(graph: Graph) -> None:
    got = graph.deliver("notifications", "one")
    folder = graph.mailbox("notifications").store.folder("inbox")
    assert folder is not None
    start = "/users('notifications@contoso.example')"
    assert graph.get(f"{start}/mailFolders('Inbox')/messages('{got.id}')").status_code == 200
    assert graph.get(f"{start}/mailFolders/{folder.id}/messages").json()["value"][0]["id"] == got.id
    # A folder's name is no key, only its id or well-known name.
    assert code(graph.get(f"{start}/mailFolders/Sent Items/messages"))[0] == 404
    assert code(graph.get(f"{start}/mailFolders('drafts')/messages('{got.id}')"))[0] == 404


def test_read_move_copy_delete(graph: Graph) -> None:
    got = graph.deliver("notifications", "one")
    assert graph.patch(f"{MESSAGES}/{got.id}", json={"isRead": True}).json()["isRead"] is True
    assert got.seen
    moved = graph.post(f"{MESSAGES}/{got.id}/move", json={"destinationId": "archive"})
    assert moved.status_code == 201
    assert moved.json()["id"] != got.id
    assert code(graph.get(f"{MESSAGES}/{got.id}"))[0] == 404
    assert graph.get(f"{MESSAGES}/{got.immutable_id}", headers=IMMUTABLE).json()["id"] == got.immutable_id
    copied = graph.post(f"{MESSAGES}/{moved.json()['id']}/copy", json={"DestinationId": "junkemail"})
    assert copied.status_code == 201
    assert len(graph.messages("notifications", "archive")) == len(graph.messages("notifications", "junkemail")) == 1
    assert graph.delete(f"{MESSAGES}/{copied.json()['id']}").status_code == 204
    (binned,) = graph.messages("notifications", "deleteditems")
    assert graph.delete(f"{MESSAGES}/{binned.id}").status_code == 204
    assert graph.messages("notifications", "deleteditems") == []
    assert graph.post(f"{MESSAGES}/{moved.json()['id']}/permanentDelete").status_code == 204
    assert graph.messages("notifications", "archive") == []
    assert code(graph.post(f"{MESSAGES}/{moved.json()['id']}/move", json={}))[0] == 404


def test_a_move_needs_a_destination(graph: Graph) -> None:
    got = graph.deliver("notifications", "one")
    assert code(graph.post(f"{MESSAGES}/{got.id}/move", json={})) == (400, "ErrorInvalidRequest")
    assert code(graph.post(f"{MESSAGES}/{got.id}/move", json={"destinationId": "none"}))[0] == 404


def test_folders(graph: Graph) -> None:
    fill(graph, 2)
    graph.messages("notifications")[0].flags.add("\\Seen")
    start = "/users/notifications@contoso.example/mailFolders"
    names = [f["displayName"] for f in graph.get(start).json()["value"]]
    assert names[:3] == ["Inbox", "Sent Items", "Drafts"]
    inbox = graph.get(f"{start}/inbox").json()
    assert (inbox["totalItemCount"], inbox["unreadItemCount"]) == (2, 1)
    made = graph.post(start, json={"displayName": "Done"})
    assert made.status_code == 201
    assert code(graph.post(start, json={"displayName": "Done"})) == (409, "ErrorFolderExists")
    got = graph.messages("notifications")[0]
    assert graph.post(f"{MESSAGES}/{got.id}/move", json={"destinationId": made.json()["id"]}).status_code == 201
    assert graph.get(f"{start}?$filter=displayName eq 'Done'").json()["value"][0]["totalItemCount"] == 1


def rounds(graph: Graph, link: str, size: int, **headers: str) -> tuple[list[dict[str, Any]], str]:
    """All pages of a delta round, and the link of the next one."""
    items: list[dict[str, Any]] = []
    while True:
        body = graph.get(link, headers={"Prefer": f"odata.maxpagesize={size}", **headers}).json()
        assert len(body["value"]) <= size
        items += body["value"]
        if "@odata.deltaLink" in body:
            return items, body["@odata.deltaLink"]
        link = body["@odata.nextLink"]


@pytest.mark.parametrize("size", [1, 2, 50])
def test_delta_tells_of_everything_and_then_of_changes(graph: Graph, size: int) -> None:
    fill(graph, 5)
    items, link = rounds(graph, DELTA, size)
    assert sorted(item["subject"] for item in items) == [f"mail {n}" for n in range(5)]
    nothing, link = rounds(graph, link, size)
    assert nothing == []
    first, second = graph.messages("notifications")[:2]
    graph.patch(f"{MESSAGES}/{first.id}", json={"isRead": True})
    graph.post(f"{MESSAGES}/{second.id}/move", json={"destinationId": "archive"})
    graph.deliver("notifications", "new")
    changes, link = rounds(graph, link, size)
    told = {item["id"]: item for item in changes}
    assert told[first.id]["subject"] == "mail 0"
    assert told[second.id]["@removed"] == {"reason": "deleted"}
    assert {item.get("subject") for item in changes} == {"mail 0", "new", None}
    assert rounds(graph, link, size)[0] == []


def test_delta_of_a_folder_that_was_empty(graph: Graph) -> None:
    nothing, link = rounds(graph, DELTA, 5)
    assert nothing == []
    graph.deliver("notifications", "first")
    assert [item["subject"] for item in rounds(graph, link, 5)[0]] == ["first"]


def test_what_goes_while_pages_are_read_is_not_forgotten(graph: Graph) -> None:
    fill(graph, 4)
    first = graph.get(DELTA, headers={"Prefer": "odata.maxpagesize=2"}).json()
    gone = first["value"][0]["id"]
    graph.post(f"{MESSAGES}/{gone}/permanentDelete")
    rest, link = rounds(graph, first["@odata.nextLink"], 2)
    rest += rounds(graph, link, 2)[0]
    assert [item["id"] for item in rest if "@removed" in item] == [gone]
    present = {item["id"] for item in first["value"] + rest if "@removed" not in item} - {gone}
    assert present == {message.id for message in graph.messages("notifications")}


def test_delta_ids_may_be_immutable(graph: Graph) -> None:
    got = graph.deliver("notifications", "one")
    items, link = rounds(graph, DELTA, 5, Prefer='IdType="ImmutableId", odata.maxpagesize=5')
    assert [item["id"] for item in items] == [got.immutable_id]
    graph.post(f"{MESSAGES}/{got.id}/move", json={"destinationId": "archive"})
    gone = graph.get(link, headers=IMMUTABLE).json()["value"]
    assert [(item["id"], "@removed" in item) for item in gone] == [(got.immutable_id, True)]


@pytest.mark.parametrize(("kind", "expected"), [("created", {"new"}), ("updated", {"mail 0"}), ("deleted", {None})])
def test_delta_by_kind_of_change(graph: Graph, kind: str, expected: set[str | None]) -> None:
    fill(graph, 2)
    _, link = rounds(graph, f"{DELTA}&changeType={kind}", 5)
    first, second = graph.messages("notifications")
    graph.patch(f"{MESSAGES}/{first.id}", json={"isRead": True})
    graph.post(f"{MESSAGES}/{second.id}/permanentDelete")
    graph.deliver("notifications", "new")
    assert {item.get("subject") for item in rounds(graph, link, 5)[0]} == expected


def test_delta_filters_by_time_only(graph: Graph) -> None:
    fill(graph, 3)
    middle = graph.get(f"{INBOX}?$filter=subject eq 'mail 1'").json()["value"][0]["receivedDateTime"]
    items, link = rounds(graph, f"{DELTA}&$filter=receivedDateTime ge {middle}", 1)
    assert sorted(item["subject"] for item in items) == ["mail 1", "mail 2"]
    assert rounds(graph, link, 1)[0] == []
    for wrong in (
        "$filter=isRead eq true",
        "$filter=receivedDateTime lt 2026-01-01T00:00:00Z",
        "$orderby=subject",
        "$top=0",
    ):
        assert code(graph.get(f"{DELTA}&{wrong}"))[0] == 400


def test_an_unknown_an_old_and_a_foreign_token_start_again(graph: Graph) -> None:
    graph.deliver("notifications", "one")
    _, link = rounds(graph, f"{INBOX}/delta", 5)
    answer = graph.get(f"{INBOX}/delta?$deltatoken=nonsense")
    assert code(answer) == (410, "SyncStateNotFound")
    full = graph.get(answer.headers["location"])
    assert len(full.json()["value"]) == 1
    assert code(graph.get(link.replace("notifications", "megan")))[0] == 410
    graph.tenant.clock.skew = 40 * 86_400.0
    assert code(graph.get(link)) == (410, "SyncStateNotFound")
