"""A lab with a folder goes on where it stopped; one that was killed loses at most the last moment."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path

import jwt
import pytest

from support.lab import RunningLab

INBOX = "/mailboxes/support@contoso.example"


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    with RunningLab(folder=folder) as lab:
        lab.control("POST", f"{INBOX}/messages", {"subject": "kept", "text": "Grüße"})
        lab.control("POST", "/mailboxes", {"address": "orders@contoso.example"})
        lab.control("PATCH", INBOX, {"imap_enabled": False, "quota": 1_000_000})
        lab.control("DELETE", f"/applications/{lab.application['client_id']}/roles/graph/Mail.Send")
        lab.control("PATCH", "/exchange", {"smtp_auth_disabled": True})
        before, described = lab.control("GET", "/state"), lab.described
        message = lab.control("GET", f"{INBOX}/messages")[0]
        raw = lab.control("GET", f"{INBOX}/messages/{message['id']}/raw")
        token, authority = lab.token(), Path(lab.ca_file).read_bytes()
        assert lab.stop() == 0
    with RunningLab(folder=folder) as lab:
        for name in ("tenant_id", "domain", "application", "administrator"):
            assert lab.described[name] == described[name]
        after = lab.control("GET", "/state")
        assert after["mailboxes"] == before["mailboxes"]
        assert after["exchange"] == before["exchange"]
        assert after["applications"] == before["applications"]
        assert lab.control("GET", f"{INBOX}/messages") == [message]
        assert lab.control("GET", f"{INBOX}/messages/{message['id']}/raw") == raw
        assert Path(lab.ca_file).read_bytes() == authority
        assert jwt.get_unverified_header(lab.token())["kid"] == jwt.get_unverified_header(token)["kid"]
        fresh = lab.control("POST", f"{INBOX}/messages", {"subject": "next"})
        assert fresh["uid"] == message["uid"] + 1


def test_killed_lab_has_written_its_changes(tmp_path: Path) -> None:
    lab = RunningLab(folder=tmp_path).start()
    assert lab.process is not None
    lab.control("POST", f"{INBOX}/messages", {"subject": "survives"})
    written = tmp_path / "messages"
    while not list(written.glob("*.eml")) or b"survives" not in b"".join(p.read_bytes() for p in written.iterdir()):
        lab.control("GET", "/clock")
    while not any(f["messages"] for m in json.loads((tmp_path / "state.json").read_bytes())["mailboxes"]
                  for f in m["folders"]):  # fmt: skip
        lab.control("GET", "/clock")
    lab.process.send_signal(signal.SIGKILL)
    lab.process.wait()
    lab.stop()
    with RunningLab(folder=tmp_path) as again:
        assert [m["subject"] for m in again.control("GET", f"{INBOX}/messages")] == ["survives"]


def test_removed_messages_leave_no_file(tmp_path: Path) -> None:
    with RunningLab(folder=tmp_path) as lab:
        lab.control("POST", f"{INBOX}/messages", {"subject": "gone soon"})
        lab.control("DELETE", f"{INBOX}/messages")
    assert list((tmp_path / "messages").iterdir()) == []


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    with RunningLab(folder=tmp_path):
        for name in ("state.json", "running.json", "tls/ca.key", "tls/server.key"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert not (tmp_path / "running.json").exists()


def test_unreadable_state_is_told_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(RuntimeError, match="move the folder away to start afresh"):
        RunningLab(folder=tmp_path).start()
