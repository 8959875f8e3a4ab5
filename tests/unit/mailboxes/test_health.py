"""How a mailbox is doing, by what is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from postroom.mailboxes.health import CredentialState, LastProof, State, judge

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD = LastProof(True, NOW - timedelta(hours=1))
SECRET = CredentialState("Client secret")


def state(
    proof: LastProof | None, *credentials: CredentialState, changed: datetime = NOW - timedelta(days=1)
) -> tuple[State, str]:
    found = judge(proof, credentials, needs_credential=True, changed_at=changed, now=NOW)
    return found.state, found.text


def ends_in(days: int) -> CredentialState:
    return CredentialState("Client secret", NOW + timedelta(days=days))


def test_a_passed_proof_makes_it_healthy() -> None:
    assert state(GOOD, SECRET)[0] is State.HEALTHY


def test_nothing_proved() -> None:
    assert state(None, SECRET)[0] is State.UNPROVED
    assert state(None) == (State.UNPROVED, "has no credential yet; add one")


def test_a_proof_from_before_a_change_says_nothing() -> None:
    assert state(GOOD, SECRET, changed=NOW)[0] is State.UNPROVED


def test_a_failed_proof_shows_its_cause() -> None:
    assert state(LastProof(False, NOW, "No consent."), SECRET) == (State.FAILING, "No consent.")


def test_the_warning_comes_30_days_ahead() -> None:
    assert state(GOOD, ends_in(31))[0] is State.HEALTHY
    assert state(GOOD, ends_in(30))[0] is State.EXPIRING


def test_a_successor_side_by_side_calms_the_warning() -> None:
    assert state(GOOD, ends_in(3), ends_in(300))[0] is State.HEALTHY
    assert state(GOOD, ends_in(3), SECRET)[0] is State.HEALTHY


def test_expired_is_failing_unless_another_one_works() -> None:
    assert state(GOOD, ends_in(0))[0] is State.FAILING
    assert state(GOOD, ends_in(-1), ends_in(300))[0] is State.HEALTHY


def test_refused_by_entra_is_failing_even_after_a_passed_proof() -> None:
    found, text = state(GOOD, CredentialState("Client secret", refused_with="AADSTS7000222"))
    assert found is State.FAILING
    assert "AADSTS7000222" in text


def test_a_credential_that_does_not_open_comes_before_all_else() -> None:
    found, text = state(GOOD, CredentialState("Client secret", fault="its key is missing"))
    assert found is State.UNREADABLE
    assert text == "cannot read its credential: its key is missing"


def test_no_sign_in_needs_no_credential() -> None:
    found = judge(None, (), needs_credential=False, changed_at=NOW, now=NOW)
    assert found.text == "never tested; run the test"
