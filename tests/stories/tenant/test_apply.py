"""On an empty tenant, ten lines make a shared mailbox that sends by SMTP and reads by IMAP, POP and Graph."""

from __future__ import annotations

from postroom.tenant.progress import Progress

from .conftest import BOX, TEN_LINES, World


def test_ten_lines_make_a_working_mailbox(world: World) -> None:
    seen: list[Progress] = []
    outcome = world.apply(listen=seen.append)
    assert outcome.passed, outcome.steps
    assert {one["state"] for one in outcome.steps} == {"done"}
    assert 0 < outcome.trips["dependent"] < outcome.trips["total"]
    assert [one.state for one in seen if one.key == f"mailbox:{BOX}"] == ["running", "done"]

    again = world.show()
    assert again.plan.nothing_to_do, again.plan.to_data()
    assert again.plan.findings == ()

    proved = world.verify()
    assert proved.passed, proved.to_data()
    ways = {(one.send_by, one.read_by) for one in proved.proofs}
    assert ways == {("smtp", "imap"), ("smtp", "pop3"), ("smtp", "graph")}
    assert all(one.needed for one in proved.reach)


def test_certificate(world: World) -> None:
    """Its key is made here; only its public part goes to Entra."""
    text = f"{TEN_LINES}credential: certificate\n"
    assert world.apply(text).passed
    application = world.application()
    assert application["secrets"] == []
    assert "PRIVATE" not in str(application["certificates"])
    assert world.show(text).plan.nothing_to_do
    assert world.verify(text).passed


def test_federated(world: World) -> None:
    """No secret anywhere: the token of another issuer proves the application."""
    body = {"subject": "system:serviceaccount:mail:postroom", "audience": "api://AzureADTokenExchange"}
    given = world.lab.control("POST", "/federated-token", body)
    file = world.home / "token"
    file.write_text(given["token"])
    text = (
        f"{TEN_LINES}credential:\n  kind: federated\n  issuer: {given['issuer']}\n"
        f"  subject: {body['subject']}\n  token_file: {file}\n"
    )
    assert world.apply(text).passed
    application = world.application()
    assert application["secrets"] == application["certificates"] == []
    assert world.show(text).plan.nothing_to_do
    assert world.verify(text).passed


def test_smtp_and_graph_by_scope_alone(world: World) -> None:
    """RBAC for Applications: no consent in Entra, no right on the mailbox, and it works for this mailbox only."""
    text = TEN_LINES.replace("[imap, pop, graph]", "graph") + "restrict: {smtp: scope, graph: scope}\n"
    outcome = world.apply(text)
    assert outcome.passed, outcome.steps
    assert world.application()["roles"] == {}
    (box,) = [one for one in world.lab.control("GET", "/mailboxes") if one["address"] == BOX]
    assert box["full_access"] == []
    proved = world.verify(text)
    assert proved.passed, proved.to_data()
    assert {one.role for one in proved.scopes if one.in_scope} == {"SMTP.SendAsApp", "Mail.ReadWrite"}
    assert world.show(text).plan.nothing_to_do


def test_an_existing_application_and_user_mailbox_are_adopted(world: World) -> None:
    """What others granted to it stays; what lacks is added."""
    found = world.lab.control("POST", "/applications", {"name": "Postroom", "roles": {"exchange": ["POP.AccessAsApp"]}})
    text = "tenant: contoso.example\ncloud: lab\nmailboxes: [adele@contoso.example]\n"
    shown = world.show(text)
    assert "permission-too-many" in {one.id for one in shown.plan.findings if not one.mended_by}
    assert world.apply(text).passed
    application = world.application()
    assert application["id"] == found["id"]
    assert "POP.AccessAsApp" in application["roles"]["exchange"]
    proved = world.verify(text)
    assert all(one.passed for one in proved.proofs)
    assert [one.role for one in proved.reach if not one.needed] == ["POP.AccessAsApp"]


def test_round_trips_are_few_and_mostly_independent(world: World) -> None:
    """What a full apply costs; more than this is a step back, of which docs/tenant.md would have to tell."""
    trips = world.apply().trips
    assert trips["total"] <= 31, trips
    assert trips["dependent"] <= 8, trips
    nothing = world.apply().trips
    assert nothing["total"] <= 21, nothing
    assert nothing["dependent"] <= 3, nothing
