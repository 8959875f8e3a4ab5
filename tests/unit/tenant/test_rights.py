"""Which rights lack: persons by directory roles, applications by app roles; Exchange wants both of an application."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from postroom.microsoft.answers import Answer, Service, Step
from postroom.tenant.calls import Call, Cmdlet, GraphCall
from postroom.tenant.expiry import WARN_AT, due
from postroom.tenant.rights import GLOBAL_ADMINISTRATOR, Holdings, Right, lacking
from postroom.tenant.standing import Standing, standing

EXCHANGE_ADMINISTRATOR = "29232cdf-9323-42fd-ade2-1d097af3e4de"
APPLICATION_ADMINISTRATOR = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"
ALL = tuple(Right)


def person(*roles: str) -> Holdings:
    return Holdings("admin@contoso.example", is_person=True, directory_roles=frozenset(roles))


def test_global_administrator_lacks_nothing() -> None:
    assert lacking(ALL, person(GLOBAL_ADMINISTRATOR)) == ()


@pytest.mark.parametrize(
    ("holds", "lacks"),
    [
        (person(), ALL),
        (
            person(EXCHANGE_ADMINISTRATOR),
            [one for one in ALL if one not in {Right.EXCHANGE, Right.READ_DIRECTORY}],
        ),
        (person(APPLICATION_ADMINISTRATOR), [Right.GRANT_GRAPH_ROLES, Right.ASSIGN_LICENCES, Right.EXCHANGE]),
    ],
)
def test_persons(holds: Holdings, lacks: list[Right]) -> None:
    assert [one.right for one in lacking(ALL, holds)] == list(lacks)


def test_exchange_wants_app_role_and_directory_role_of_an_application() -> None:
    role_only = Holdings("app", is_person=False, permissions=frozenset({"Exchange.ManageAsApp"}))
    (lack,) = lacking([Right.EXCHANGE], role_only)
    assert "Exchange Administrator" in lack.sentence
    assert "Exchange.ManageAsApp" not in lack.sentence
    both = Holdings("app", False, frozenset({EXCHANGE_ADMINISTRATOR}), frozenset({"Exchange.ManageAsApp"}))
    assert lacking([Right.EXCHANGE], both) == ()
    (lack,) = lacking([Right.EXCHANGE], Holdings("app", is_person=False))
    assert "Exchange.ManageAsApp" in lack.sentence


def test_what_is_not_known_is_not_called_lacking() -> None:
    assert lacking(ALL, Holdings("admin", is_person=True, roles_known=False)) == ()


NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "warned", "expected"),
    [
        (61, None, None),
        (60, None, 60),
        (59, 60, None),
        (31, 60, None),
        (30, 60, 30),
        (14, 30, 14),
        (7, 14, 7),
        (1, 7, 1),
        (0.5, 1, None),
        (0, 1, 0),
        (-5, 0, None),
        (5, None, 7),
    ],
)
def test_warnings(days: float, warned: int | None, expected: int | None) -> None:
    assert due(NOW + timedelta(days=days), NOW, warned) == expected


def test_each_warning_comes_once() -> None:
    said: list[int] = []
    for hour in range(70 * 24, -48, -1):
        warning = due(NOW + timedelta(hours=hour), NOW, said[-1] if said else None)
        if warning is not None:
            said.append(warning)
    assert said == [*WARN_AT, 0]
    assert due(None, NOW) is None


def answer(code: str, text: str, status: int = 400, service: Service = Service.GRAPH) -> Answer:
    return Answer(service, Step.SET_UP, code, text, status=status)


POST, DELETE = GraphCall("POST", "/x", {}), GraphCall("DELETE", "/x")
DROP = GraphCall("POST", "/applications/1/removePassword", {"keyId": "k"})
NEW, REMOVE = Cmdlet("New-Mailbox"), Cmdlet("Remove-Mailbox")


@pytest.mark.parametrize(
    ("call", "said", "expected"),
    [
        (
            POST,
            answer("Request_BadRequest", "Permission being assigned already exists on the object"),
            Standing.ALREADY,
        ),
        (POST, answer("Request_MultipleObjectsWithSameKeyValue", "in use", 409), Standing.ALREADY),
        (POST, answer("Request_ResourceNotFound", "Resource 'x' does not exist", 404), Standing.NOT_YET),
        (
            POST,
            answer("Request_BadRequest", "The appId 'x' does not reference a valid application object."),
            Standing.NOT_YET,
        ),
        (POST, answer("Authorization_RequestDenied", "Insufficient privileges", 403), Standing.REFUSED),
        (DELETE, answer("Request_ResourceNotFound", "gone", 404), Standing.ALREADY),
        (DELETE, answer("Authorization_RequestDenied", "no", 403), Standing.REFUSED),
        (DROP, answer("Request_BadRequest", "No password credential found with keyId 'k'."), Standing.ALREADY),
        (
            NEW,
            answer("ManagementObjectAlreadyExistsException", "the name is already in use", 400, Service.EXCHANGE),
            Standing.ALREADY,
        ),
        (
            NEW,
            answer("ManagementObjectNotFoundException", "couldn't be found on 'SERVER'", 404, Service.EXCHANGE),
            Standing.NOT_YET,
        ),
        (
            REMOVE,
            answer("ManagementObjectNotFoundException", "couldn't be found", 404, Service.EXCHANGE),
            Standing.ALREADY,
        ),
        (POST, answer("lost", "couldn't be found", 0, Service.NETWORK), Standing.REFUSED),
    ],
)
def test_what_a_refusal_means_to_a_step(call: Call, said: Answer, expected: Standing) -> None:
    assert standing(call, said) is expected
