"""The main job by the command alone: from an empty home to mail that goes out and is read back, every way there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.postroom import RunningPostroom

from .conftest import PERSON, House

PRESETS = ("microsoft-365", "microsoft-365-pop3", "microsoft-365-graph")


def test_what_ships_is_listed(house: House) -> None:
    listed = {provider["slug"]: provider for provider in house.cli("provider", "list")}
    assert {*PRESETS, "google", "sendgrid", "brevo", "other", "migrated"} == set(listed)
    assert [slug for slug, provider in listed.items() if not provider["can_read"]] == ["brevo", "sendgrid"]


def test_a_secret_is_taken_from_standard_input_and_never_shown(house: House) -> None:
    added = house.add("Secret", secret=False)
    assert (added["health"], added["credentials"]) == ("unproved", [])
    secret = house.lab.application["client_secret"]
    given = house.give("Secret", secret)
    assert secret[-4:] in given["hint"]
    assert secret not in json.dumps(given)


@pytest.mark.parametrize("preset", PRESETS)
def test_mail_goes_out_and_an_answer_is_read(house: House, preset: str) -> None:
    name = f"Job {preset}"
    house.add(name, provider=preset)
    assert set(house.prove(name).values()) == {"passed"}
    hidden = "adele@contoso.example"
    sent = house.send(name, "--to", PERSON, "--bcc", hidden, "--subject", "Hello", "--text", "It works")
    assert (sent["sent"], sent["recipients"]) == (True, [PERSON, hidden])
    for address in (PERSON, hidden):
        arrived = house.mail.messages("inbox", address)[-1]
        assert b"\r\nSubject: Hello\r\n" in arrived
        assert b"\r\nBcc:" not in arrived
    house.lab.control("POST", f"/mailboxes/{house.mail.mailbox}/messages", {"subject": "An answer", "text": "Read me"})
    newest, *_ = house.cli("inbox", name)
    assert newest["subject"] == "An answer"
    assert "Read me" in house.cli("inbox", name, "--read", newest["uid"])["text"]


def test_copies_defaults_and_deletes(house: House) -> None:
    house.add("First")
    copied = house.cli("mailbox", "copy", "First", "Second")
    assert copied["credentials"], "the application and its credentials are shared"
    house.cli("mailbox", "default", "Second")
    house.cli("mailbox", "edit", "Second", "--subject-prefix", "[Second]")
    assert house.cli("mailbox", "show")["name"] == "Second"
    assert house.postroom.run("mailbox", "delete", "First", "--yes").returncode == 0
    assert house.cli("mailbox", "list", "First") == []
    assert house.cli("send", "--to", PERSON, "--subject", "Named none", "--text", "x")["sent"]
    assert b"Subject: [Second] Named none" in house.mail.messages("inbox", PERSON)[-1]
    gone = house.cli("mailbox", "show", "First", exit_code=1)
    assert gone["error"]
    assert gone["fix"]


def test_a_shared_mailbox_signs_in_by_its_own_address(house: House) -> None:
    house.add("Support", address="support@contoso.example")
    assert set(house.prove("Support").values()) == {"passed"}
    assert len(house.mail.messages("sentitems", "support@contoso.example")) == 1
    assert house.mail.messages("sentitems") == []


def test_a_certificate_is_made_here_and_proves_the_application(house: House, tmp_path: Path) -> None:
    application = house.application("Certified")
    house.add("Certified", application=application, secret=False)
    file = tmp_path / "public.pem"
    house.cli("credential", "generate-certificate", "Certified", "--out", str(file))
    public = file.read_text()
    assert "PRIVATE" not in public
    house.lab.control("POST", f"/applications/{application['client_id']}/certificates", {"certificate": public})
    assert set(house.prove("Certified").values()) == {"passed"}


def test_a_federated_token_file_proves_the_application(house: House, tmp_path: Path) -> None:
    application = house.application("Federated")
    house.add("Federated", application=application, secret=False)
    issued = house.lab.control("POST", "/federated-token", {"subject": "postroom"})
    trusted = {"issuer": issued["issuer"], "subject": "postroom"}
    house.lab.control("POST", f"/applications/{application['client_id']}/federated", trusted)
    file = tmp_path / "token"
    file.write_text(issued["token"])
    house.cli("credential", "add", "Federated", "--kind", "federated-file", "--path", str(file))
    assert set(house.prove("Federated").values()) == {"passed"}


def test_when_the_first_secret_ends_mail_goes_on_with_the_second(house: House) -> None:
    application = house.application("Two secrets")
    house.add("Two secrets", application=application)
    where = f"/applications/{application['client_id']}/secrets"
    house.give("Two secrets", house.lab.control("POST", where, {"name": "second"})["client_secret"])
    house.lab.control("POST", f"{where}/{application['secret_id']}/expire")
    assert house.send("Two secrets", "--to", PERSON, "--text", "x")["sent"]
    first, second = house.cli("credential", "list", "Two secrets")
    assert (first["refused_with"], second["refused_with"]) == ("AADSTS7000222", "")


def test_the_key_is_rotated_and_secrets_stay_readable(house: House) -> None:
    house.add("Rotated")
    old, new = (house.postroom.home / "key").read_text().strip(), house.cli("key", "new")["key"]
    rotated = house.cli("credential", "rotate-key", POSTROOM_KEY=f"{new},{old}")
    assert rotated["resealed"] >= 1
    assert rotated["unreadable"] == 0
    lost = house.send("Rotated", "--to", PERSON, "--text", "x", exit_code=1)
    assert "POSTROOM_KEY" in lost["fix"]
    assert house.send("Rotated", "--to", PERSON, "--text", "x", POSTROOM_KEY=new)["sent"]
    house.cli("credential", "rotate-key", POSTROOM_KEY=f"{old},{new}")


def test_one_token_serves_many_mails_until_server_or_credential_say_otherwise(house: House) -> None:
    application = house.application("Cached")
    mailbox = house.add("Cached", application=application)["id"]
    house.count_tokens()
    with RunningPostroom(house.postroom) as running, running.signed_in() as console:

        def send() -> str:
            return console.post(f"/mailboxes/{mailbox}/send", to=PERSON, subject="x", text="x").text

        for _ in range(4):
            assert "took the mail" in send()
        assert house.tokens == 1
        house.mail.fault("smtp-reply", times=1, step="auth", reply="535 5.7.3 Authentication unsuccessful")
        assert "took the mail" in send()
        assert house.tokens == 2, "forced once after a 535"
        fresh = house.lab.control("POST", f"/applications/{application['client_id']}/secrets", {"name": "fresh"})
        house.give("Cached", fresh["client_secret"])
        assert "took the mail" in send()
        assert house.tokens == 3, "what belonged to other credentials is dropped"
