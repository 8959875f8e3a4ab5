"""One cause for each vague answer: by the token's claims first, then by what worked in the same proof."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.microsoft.answers import Answer, Service, Step
from postroom.microsoft.catalogue import Kind, faults
from postroom.microsoft.claims import Claims
from postroom.microsoft.errors import Diagnosis, Evidence, check_claims, explain

EXCHANGE, GRAPH = "https://outlook.office365.com", "https://graph.microsoft.com"
PRINCIPAL = "bbbbbbbb-2222-4333-8444-555555555555"
REGISTRATION = "cccccccc-2222-4333-8444-555555555555"
CLIENT = "aaaaaaaa-2222-4333-8444-555555555555"
ALL = frozenset({"SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp"})
RIGHT = Claims(EXCHANGE, "t", CLIENT, PRINCIPAL, ALL)
BASE = Evidence(
    mailbox="sales@contoso.com",
    tenant="contoso.com",
    client_id=CLIENT,
    object_id=REGISTRATION,
    service_principal_id=PRINCIPAL,
    claims=RIGHT,
    worked=frozenset({"token"}),
)

SMTP = Answer(Service.SMTP, Step.SIGN_IN, "535", "Authentication unsuccessful [x]", "5.7.3")
IMAP = Answer(Service.IMAP, Step.SIGN_IN, "NO", "AUTHENTICATE failed.")
CLOSED = Answer(Service.IMAP, Step.FOLDER, "BAD", "User is authenticated but not connected.")
POP = Answer(Service.POP3, Step.SIGN_IN, "-ERR", "Authentication failure: unknown user name or bad password.")
DENIED = Answer(Service.GRAPH, Step.DATA, "ErrorAccessDenied", "Access is denied.", status=403)
READING_DENIED = replace(DENIED, step=Step.READ)
BAD_TOKEN = Answer(Service.GRAPH, Step.DATA, "InvalidAuthenticationToken", "expired", status=401)


def worked(*what: str) -> Evidence:
    return replace(BASE, worked=BASE.worked | set(what))


def claims(**changes: object) -> Evidence:
    return replace(BASE, claims=replace(RIGHT, **changes))


def graph(*roles: str) -> Evidence:
    return replace(BASE, claims=replace(RIGHT, audience=GRAPH, roles=frozenset(roles)))


DELEGATED = claims(roles=frozenset(), scopes=frozenset({"SMTP.Send"}))
MIXED_UP = replace(BASE, service_principal_id=REGISTRATION)

CASES = [
    # all right in the token: the service principal is what Exchange checks next
    (SMTP, BASE, "exchange-service-principal"),
    (IMAP, BASE, "exchange-service-principal"),
    (POP, BASE, "exchange-service-principal"),
    # the token itself
    *[(said, claims(roles=frozenset()), "no-consent") for said in (SMTP, IMAP, POP)],
    *[
        (said, claims(roles=frozenset(), scopes=frozenset({"SMTP.Send"})), "delegated-token")
        for said in (SMTP, IMAP, POP)
    ],
    (SMTP, claims(roles=ALL - {"SMTP.SendAsApp"}), "role-missing"),
    (IMAP, claims(roles=ALL - {"IMAP.AccessAsApp"}), "role-missing"),
    (POP, claims(roles=ALL - {"POP.AccessAsApp"}), "role-missing"),
    *[(said, claims(audience="https://ps.outlook.com"), "wrong-audience") for said in (SMTP, IMAP, POP)],
    *[(said, claims(audience=GRAPH + "/", roles=frozenset()), "wrong-audience") for said in (SMTP, IMAP, POP)],
    # the object id that was typed in
    *[
        (said, replace(BASE, service_principal_id=REGISTRATION), "object-id-of-registration")
        for said in (SMTP, IMAP, POP)
    ],
    *[(said, replace(BASE, service_principal_id=CLIENT), "object-id-mismatch") for said in (SMTP, IMAP, POP)],
    # what worked rules out all that is checked before it
    (SMTP, worked("imap-sign-in"), "one-protocol-refused"),
    (IMAP, worked("smtp-sign-in"), "one-protocol-refused"),
    (CLOSED, worked("smtp-sign-in", "smtp-data"), "imap-disabled"),
    (CLOSED, worked("pop3-folder"), "imap-disabled"),
    (CLOSED, worked("smtp-sign-in"), "full-access-missing"),
    (CLOSED, BASE, "full-access-missing"),
    (CLOSED, worked("imap-sign-in"), "full-access-missing"),
    (CLOSED, worked("imap-folder", "smtp-data"), "connections-busy"),
    (POP, worked("smtp-data"), "pop-disabled"),
    (POP, worked("imap-folder"), "pop-disabled"),
    (POP, worked("smtp-sign-in"), "full-access-missing"),
    # outside of a proof nothing is known
    (SMTP, Evidence(), "smtp-sign-in-refused"),
    (IMAP, Evidence(), "imap-sign-in-refused"),
    (POP, Evidence(), "pop-sign-in-refused"),
    (CLOSED, Evidence(), "imap-not-connected"),
    (DENIED, Evidence(), "graph-access-denied"),
    (SMTP, replace(BASE, claims=Claims()), "smtp-sign-in-refused"),
    # Graph
    (DENIED, graph("Mail.Send"), "graph-out-of-scope"),
    (DENIED, graph("Mail.Read"), "role-missing"),
    (DENIED, graph(), "no-consent"),
    (READING_DENIED, graph("Mail.ReadWrite"), "graph-out-of-scope"),
    (DENIED, replace(graph(), scoped=True), "graph-out-of-scope"),
    (READING_DENIED, graph("Mail.Send"), "role-missing"),
    (BAD_TOKEN, graph("Mail.Send"), "graph-token-refused"),
    (DENIED, replace(graph("Mail.Send"), service_principal_id=REGISTRATION), "graph-out-of-scope"),
    # RBAC for Applications gives rights without roles in the token (facts 4.3)
    (SMTP, replace(claims(roles=frozenset()), scoped=True), "exchange-service-principal"),
]


@pytest.mark.parametrize(("answer", "evidence", "row"), CASES)
def test_one_cause_for_each_vague_answer(answer, evidence, row):
    assert explain(answer, evidence).fault.id == row


def test_every_row_that_no_answer_shows_is_reached_by_evidence():
    by_evidence = {row.id for row in faults().values() if not row.matches} - {"unknown"}
    assert by_evidence <= {row for _, _, row in CASES}


def test_vague_rows_are_those_that_evidence_decides():
    assert {row.id for row in faults().values() if row.vague} == {
        "smtp-sign-in-refused",
        "imap-sign-in-refused",
        "imap-not-connected",
        "pop-sign-in-refused",
        "graph-access-denied",
        "graph-token-refused",
    }


def test_the_command_carries_the_tokens_object_id_not_the_one_typed_in():
    diagnosis = explain(IMAP, replace(BASE, service_principal_id=REGISTRATION))
    assert f"New-ServicePrincipal -AppId {CLIENT} -ObjectId {PRINCIPAL}" in diagnosis.command
    assert f"Remove-ServicePrincipal -Identity {REGISTRATION}" in diagnosis.command
    assert any(REGISTRATION in sign for sign in diagnosis.evidence)


def test_the_missing_role_is_named():
    diagnosis = explain(POP, claims(roles=frozenset({"SMTP.SendAsApp"})))
    assert "POP.AccessAsApp" in diagnosis.cause
    assert "SMTP.SendAsApp" in diagnosis.evidence[0]
    assert "IMAP" not in diagnosis.cause


def test_unknown_values_stay_visible_places_to_fill_in():
    diagnosis = explain(Answer(Service.SMTP, Step.DATA, "554", "SendAsDenied", "5.2.252"))
    assert "-Identity <sender address> -Trustee <mailbox address>" in diagnosis.command


@pytest.mark.parametrize("evil", ["x; Remove-Mailbox y", "o'brien@contoso.com", "$(calc)", "a b", '"', "{sender}"])
def test_values_cannot_break_out_of_a_command(evil):
    answer = Answer(
        Service.SMTP, Step.SIGN_IN, "535", "SmtpClientAuthentication is disabled for the Mailbox", "5.7.139"
    )
    quoted = "'" + evil.replace("'", "''") + "'"
    line = explain(answer, Evidence(mailbox=evil)).command.splitlines()[1]
    assert line == f"Set-CASMailbox -Identity {quoted} -SmtpClientAuthenticationDisabled $false"


def test_recent_change_may_still_be_spreading():
    spreading = "may still be spreading"
    assert any(spreading in line for line in explain(SMTP, replace(BASE, recently_changed=True)).also)
    assert not any(spreading in line for line in explain(SMTP, BASE).also)
    throttled = Answer(Service.SMTP, Step.DATA, "432", "sender thread limit exceeded", "4.3.2")
    assert not any(spreading in line for line in explain(throttled, replace(BASE, recently_changed=True)).also)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (
            Answer(Service.IMAP, Step.READ, "BAD", "Request is throttled. Suggested Backoff Time: 92415 milliseconds"),
            92.415,
        ),
        (Answer(Service.GRAPH, Step.DATA, "TooManyRequests", "x", status=429, retry_after=7.0), 7.0),
        (Answer(Service.SMTP, Step.DATA, "554", "SubmissionQuotaExceededException", "5.2.0"), 3600),
        (Answer(Service.SMTP, Step.RECIPIENT, "550", "User unknown", "5.1.1"), None),
    ],
)
def test_when_another_attempt_makes_sense(answer, seconds):
    assert explain(answer).retry_after == seconds


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(Service.SMTP, Step.DATA, "451", "odd", "4.9.9"), Kind.TRANSIENT),
        (Answer(Service.SMTP, Step.DATA, "550", "odd", "5.9.9"), Kind.PERMANENT),
        (Answer(Service.IMAP, Step.READ, "NO", "odd"), Kind.TRANSIENT),
        (Answer(Service.GRAPH, Step.DATA, "Odd", "odd", status=400), Kind.PERMANENT),
        (Answer(Service.GRAPH, Step.DATA, "Odd", "odd", status=403), Kind.PERMISSION),
        (Answer(Service.EXCHANGE, Step.DATA, "Odd", "odd", status=429), Kind.THROTTLED),
        (Answer(Service.EXCHANGE, Step.DATA, "Odd", "odd", status=503), Kind.TRANSIENT),
    ],
)
def test_class_of_an_unknown_answer_is_its_own(answer, kind):
    diagnosis = explain(answer)
    assert (diagnosis.fault.id, diagnosis.kind) == ("unknown", kind)


@pytest.mark.parametrize(
    ("claimed", "needed", "resource", "row"),
    [
        (RIGHT, ALL, EXCHANGE, None),
        (RIGHT, ALL, EXCHANGE + "/", None),
        (RIGHT, {"Mail.Send"}, GRAPH, "wrong-audience"),
        (replace(RIGHT, roles=frozenset()), ALL, EXCHANGE, "no-consent"),
        (
            replace(RIGHT, roles=frozenset(), scopes=frozenset({"IMAP.AccessAsUser.All"})),
            ALL,
            EXCHANGE,
            "delegated-token",
        ),
        (replace(RIGHT, roles=frozenset({"IMAP.AccessAsApp"})), ALL, EXCHANGE, "role-missing"),
        (replace(RIGHT, service_principal_id=REGISTRATION), ALL, EXCHANGE, "object-id-mismatch"),
        (replace(RIGHT, service_principal_id=PRINCIPAL.upper()), ALL, EXCHANGE, None),
        (replace(RIGHT, audience=GRAPH, roles=frozenset({"Mail.ReadWrite"})), {"Mail.Read"}, GRAPH, None),
        (Claims(), ALL, EXCHANGE, None),
    ],
)
def test_claims_stage(claimed, needed, resource, row):
    evidence = replace(BASE, claims=None)
    diagnosis = check_claims(claimed, needed, resource, evidence)
    assert (diagnosis.fault.id if diagnosis else None) == row


def test_what_the_claims_stage_found_is_explained_again_without_the_claims():
    found = check_claims(DELEGATED.claims, ALL, EXCHANGE, BASE)
    assert explain(found.answer).fault.id == "delegated-token"


def test_claims_stage_names_all_missing_roles():
    diagnosis = check_claims(replace(RIGHT, roles=frozenset({"IMAP.AccessAsApp"})), ALL, EXCHANGE, BASE)
    assert diagnosis is not None
    assert "POP.AccessAsApp, SMTP.SendAsApp" in diagnosis.cause
    assert diagnosis.evidence == ("The token's roles are IMAP.AccessAsApp",)


@given(st.sampled_from(CASES), st.booleans())
def test_diagnosis_survives_a_database(case, recently):
    answer, evidence, _ = case
    diagnosis = explain(answer, replace(evidence, recently_changed=recently))
    assert Diagnosis.from_json(diagnosis.to_json()) == diagnosis


def test_diagnosis_of_a_row_that_is_gone_keeps_its_words():
    data = explain(SMTP, BASE).to_json() | {"fault": "renamed"}
    again = Diagnosis.from_json(data)
    assert again.fault.id == "unknown"
    assert again.cause == explain(SMTP, BASE).cause
