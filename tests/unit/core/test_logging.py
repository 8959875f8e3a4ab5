"""Logs hold no secret, whoever writes them, in which form they may come."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from postroom.core.logging import configure

JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL291dGxvb2sifQ.c2lnbmF0dXJl"
XOAUTH2 = "dXNlcj1zYWxlc0Bjb250b3NvLmV4YW1wbGUBYXV0aD1CZWFyZXIgcGxhbnRlZAEB"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged, as JSON lines."""
    kept = logging.getLogger().handlers[:], logging.getLogger().level
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure(people=False)
    yield stream
    logging.getLogger().handlers[:], logging.getLogger().level = kept[0], kept[1]
    logging.captureWarnings(False)


@pytest.mark.parametrize(
    "message",
    [
        f"asked with Authorization: Bearer {JWT}",
        f"C: AUTH XOAUTH2 {XOAUTH2}",
        f"body client_id=1&client_secret=planted~value&scope=x {JWT}",
        f"assertion {JWT}",
    ],
)
def test_secrets_in_texts_are_hidden(written: io.StringIO, message: str) -> None:
    logging.getLogger("some.library").warning("%s", message)
    text = written.getvalue()
    assert "[hidden]" in text
    for secret in (JWT, XOAUTH2, "planted~value"):
        assert secret not in text


def test_secrets_under_their_names_are_hidden_at_any_depth(written: io.StringIO) -> None:
    structlog.get_logger("ours").info(
        "x", client_secret="planted", mailbox={"password": "planted", "list": [{"token": "planted"}]}
    )
    line = json.loads(written.getvalue())
    assert "planted" not in written.getvalue()
    assert line["client_secret"] == "[hidden]"
    assert line["event"] == "x"


def test_secrets_in_tracebacks_are_hidden(written: io.StringIO) -> None:
    try:
        raise ValueError(f"could not use {JWT}")
    except ValueError:
        logging.getLogger("some.library").exception("failed")
    assert "ValueError" in written.getvalue()
    assert JWT not in written.getvalue()


def test_what_is_no_secret_stays(written: io.StringIO) -> None:
    structlog.get_logger("ours").info("request", path="/mailboxes/1/test", status=200, key_count=2)
    line = json.loads(written.getvalue())
    assert (line["path"], line["status"], line["key_count"]) == ("/mailboxes/1/test", 200, 2)
