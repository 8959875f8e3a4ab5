"""On an empty tenant, ten lines make a shared mailbox that sends by SMTP and reads by IMAP, POP and Graph."""

from __future__ import annotations

from postroom.tenant.engine import Progress

from .conftest import BOX, World


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
