"""The rules of a proof: which stage passes, fails or is skipped, and which one cause is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postroom.core.clock import now
from postroom.mailboxes.connect import Ready
from postroom.mailboxes.proof import Patience, prove
from postroom.mailboxes.providers import shipped
from postroom.mailboxes.rules import effective
from postroom.mailboxes.stages import TITLES, Stage, passed
from postroom.mailboxes.values import MailboxData
from postroom.microsoft.answers import Answer, Service, Step
from postroom.microsoft.clouds import clouds
from postroom.microsoft.tokens import ApplicationIdentity, ClientSecret

from .conftest import CLIENT, PRINCIPAL, SECRET, TENANT
from .otherside import AUTH_FAILED, IMAP_REFUSED, NO_NAME, NOT_CONNECTED, OtherSide

AT_ONCE = Patience(read_back=0, poll=0, spreading=())


@pytest.fixture
def side(monkeypatch: pytest.MonkeyPatch) -> OtherSide:
    other = OtherSide(oid=PRINCIPAL, client_id=CLIENT, tenant=TENANT)
    other.install(monkeypatch)
    return other


def ready(*, changed_ago: timedelta = timedelta(days=1), **differences: Any) -> Ready:
    """The mailbox of the fixtures, as the database would have made it ready."""
    ids = {"tenant": TENANT, "client_id": CLIENT, "service_principal_id": PRINCIPAL}
    values: dict[str, Any] = {"name": "Office", "address": "office@contoso.com", "read_inbox": True, **ids}
    data = MailboxData(**values | differences)
    provider = next(one for one in shipped() if one.slug == data.provider)
    cloud = clouds()["global"]
    whole = effective(data, provider, cloud)
    identity = ApplicationIdentity(cloud, TENANT, CLIENT, (ClientSecret("1", SECRET),))
    return Ready(1, whole, identity if whole.sign_in_by == "oauth" else None, "hunter2", now() - changed_ago)


async def proved(prepared: Ready, patience: Patience = AT_ONCE) -> tuple[dict[str, Stage], list[Stage]]:
    """The stages at the end, and all changes on the way."""
    news = [stage async for stage in prove(prepared, "me@contoso.com", patience)]
    return {stage.stage: stage for stage in news}, news


def states(stages: dict[str, Stage]) -> dict[str, str]:
    return {name: stages[name].state for name in TITLES}


def faults(stages: dict[str, Stage]) -> dict[str, str]:
    return {name: stage.diagnosis.fault.id for name, stage in stages.items() if stage.diagnosis}


async def test_all_is_well(side: OtherSide) -> None:
    stages, _ = await proved(ready())
    assert set(states(stages).values()) == {"passed"}
    assert passed(stages)
    assert PRINCIPAL in stages["claims"].detail


async def test_the_message_goes_to_the_person_and_to_the_mailbox_itself(side: OtherSide) -> None:
    await proved(ready(copies_to=("archive@contoso.com",)))
    assert side.envelopes[0].recipients == ("me@contoso.com", "office@contoso.com", "archive@contoso.com")


async def test_a_mailbox_that_only_sends_gets_no_mail_of_its_own(side: OtherSide) -> None:
    stages, _ = await proved(ready(read_inbox=False))
    assert side.envelopes[0].recipients == ("me@contoso.com",)
    assert {states(stages)[name] for name in ("read-sign-in", "folder", "read-back")} == {"skipped"}
    assert stages["folder"].detail == "this mailbox does not read"
    assert passed(stages)


async def test_a_mailbox_that_only_reads(side: OtherSide) -> None:
    stages, _ = await proved(ready(send_by="none"))
    assert states(stages) == {
        **dict.fromkeys(TITLES, "passed"),
        "send-sign-in": "skipped",
        "sender": "skipped",
        "message-sent": "skipped",
        "read-back": "skipped",
    }


async def test_a_password_skips_token_and_claims(side: OtherSide) -> None:
    stages, _ = await proved(ready(sign_in_by="password"))
    assert (stages["token"].state, stages["claims"].state) == ("skipped", "skipped")
    assert stages["token"].detail == "this mailbox signs in without OAuth"
    assert passed(stages)


async def test_a_message_that_got_another_id_is_found_by_its_mark(side: OtherSide) -> None:
    side.renames = True
    stages, _ = await proved(ready())
    assert stages["read-back"].state == "passed"
    assert "<given@exchange.example>" in stages["message-sent"].detail


async def test_a_message_that_does_not_come_back(side: OtherSide) -> None:
    side.delivers = False
    stages, _ = await proved(ready())
    assert faults(stages) == {"read-back": "not-arrived"}
    assert "did not appear in INBOX" in str(stages["read-back"].diagnosis)


async def test_what_comes_after_a_failure_is_skipped_but_reading_is_tried(side: OtherSide) -> None:
    side.send_refusals = [NO_NAME]
    stages, _ = await proved(ready())
    assert states(stages) == {
        **dict.fromkeys(TITLES, "passed"),
        "resolve": "failed",
        "connect": "skipped",
        "tls": "skipped",
        "send-sign-in": "skipped",
        "sender": "skipped",
        "message-sent": "skipped",
        "read-back": "skipped",
    }
    assert faults(stages) == {"resolve": "network-name"}
    assert not passed(stages)


async def test_no_token_no_sign_in(side: OtherSide) -> None:
    text = "AADSTS7000222: The provided client secret keys for app are expired."
    side.token_refusal = Answer(Service.ENTRA, Step.TOKEN, "AADSTS7000222", text, "invalid_client", 401)
    stages, _ = await proved(ready())
    assert faults(stages) == {"token": "entra-secret-expired"}
    assert set(states(stages).values()) == {"failed", "skipped"}
    assert side.tokens == 1


async def test_no_roles_is_named_once_for_both_directions(side: OtherSide) -> None:
    side.roles = ()
    stages, _ = await proved(ready())
    assert faults(stages) == {"claims": "no-consent"}
    assert side.envelopes == []


async def test_a_role_missing_for_reading_lets_the_mail_go_out(side: OtherSide) -> None:
    side.roles = ("SMTP.SendAsApp",)
    stages, _ = await proved(ready())
    assert faults(stages) == {"claims": "role-missing"}
    assert "IMAP.AccessAsApp" in stages["claims"].detail
    assert stages["message-sent"].state == "passed"
    assert stages["read-sign-in"].state == "skipped"


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ({"service_principal_id": "99999999-aaaa-4bbb-8ccc-ddddeeeeffff"}, "object-id-mismatch"),
        (
            {
                "service_principal_id": "99999999-aaaa-4bbb-8ccc-ddddeeeeffff",
                "object_id": "99999999-aaaa-4bbb-8ccc-ddddeeeeffff",
            },
            "object-id-of-registration",
        ),
    ],
)
async def test_the_wrong_object_id_is_named_from_the_token(side: OtherSide, typed: dict[str, str], fault: str) -> None:
    stages, _ = await proved(ready(**typed))
    assert faults(stages) == {"claims": fault}


async def test_both_sign_ins_refused_have_one_cause(side: OtherSide) -> None:
    side.send_refusals, side.read_refusals = [AUTH_FAILED], [IMAP_REFUSED]
    stages, _ = await proved(ready())
    assert faults(stages) == {
        "send-sign-in": "exchange-service-principal",
        "read-sign-in": "exchange-service-principal",
    }


async def test_what_worked_before_decides_what_imap_means(side: OtherSide) -> None:
    side.read_refusals = [NOT_CONNECTED]
    stages, _ = await proved(ready())
    assert faults(stages) == {"folder": "imap-disabled"}


async def test_what_works_afterwards_decides_what_smtp_meant(side: OtherSide) -> None:
    side.send_refusals = [AUTH_FAILED]
    stages, news = await proved(ready())
    first = next(stage for stage in news if stage.stage == "send-sign-in" and stage.state == "failed")
    assert first.diagnosis is not None
    assert first.diagnosis.fault.id == "exchange-service-principal"
    assert faults(stages) == {"send-sign-in": "one-protocol-refused"}


async def test_after_a_change_it_waits_and_tries_again_with_a_new_token(side: OtherSide) -> None:
    side.send_refusals = [AUTH_FAILED, AUTH_FAILED]
    stages, news = await proved(ready(changed_ago=timedelta(minutes=5)), replace(AT_ONCE, spreading=(0.0, 0.0)))
    assert passed(stages)
    assert sum("may still be spreading" in stage.detail for stage in news) == 2
    assert side.forced == 2


async def test_it_gives_up_in_the_end_and_says_that_it_may_be_spreading(side: OtherSide) -> None:
    side.send_refusals = side.read_refusals = [AUTH_FAILED] * 9
    stages, _ = await proved(ready(changed_ago=timedelta(minutes=5)), replace(AT_ONCE, spreading=(0.0,)))
    diagnosis = stages["send-sign-in"].diagnosis
    assert diagnosis is not None
    assert any("may still be spreading" in line for line in diagnosis.also)


async def test_waiting_mends_no_wrong_id(side: OtherSide) -> None:
    prepared = ready(changed_ago=timedelta(minutes=5), service_principal_id="99999999-aaaa-4bbb-8ccc-ddddeeeeffff")
    await proved(prepared, replace(AT_ONCE, spreading=(0.0, 0.0)))
    assert side.forced == 0


async def test_nothing_spreads_when_nothing_changed(side: OtherSide) -> None:
    side.send_refusals = [AUTH_FAILED, AUTH_FAILED]
    _, news = await proved(ready(), replace(AT_ONCE, spreading=(0.0, 0.0)))
    assert not any("spreading" in stage.detail for stage in news)


async def test_a_fault_of_our_own_ends_the_proof_with_its_words(
    side: OtherSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("postroom.mailboxes.mailing.compose", broken)
    stages, _ = await proved(ready())
    assert not passed(stages)
    assert "a bug" in str(next(stage.diagnosis for stage in stages.values() if stage.diagnosis))


async def test_no_change_of_a_stage_holds_a_secret_or_a_token(side: OtherSide) -> None:
    side.read_refusals = [NOT_CONNECTED]
    _, news = await proved(ready())
    for stage in news:
        assert SECRET not in str(stage.to_json())
        assert "hunter2" not in str(stage.to_json())
        assert "h.ey" not in str(stage.to_json())
