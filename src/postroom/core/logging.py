"""Logs: structlog for all of us and the libraries; for people on a terminal, JSON lines otherwise; no secrets.

Everything goes to standard error. Two nets keep secrets out: values under names that mean a secret, and what looks
like a bearer token, a JWT (RFC 7519) or a form field with a secret inside any text.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

HIDDEN = "[hidden]"

_SECRET_NAME = re.compile(
    r"(^|_)(password|passwd|secret|secrets|token|assertion|authorization|cookie|credential_value|sealed|pem|key)$", re.I
)
_SECRET_TEXT = (
    (re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b(client_secret|client_assertion|password|access_token)=([^&\s\"']+)"), rf"\1={HIDDEN}"),
    # XOAUTH2 and PLAIN, as they go over the wire in base64: "user=" and what follows (facts 1.5).
    (re.compile(r"dXNlcj[\w+/=]{20,}"), HIDDEN),
)


def configure(*, people: bool | None = None, level: int = logging.INFO) -> None:
    """Sets logging of the whole process up. `people` forces the human form (True) or JSON (False)."""
    human = sys.stderr.isatty() if people is None else people
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [hide_secrets, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if human
        else [structlog.processors.format_exc_info, hide_secrets, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    # These tell each request and token in words of their own; ours are enough.
    for noisy in ("azure", "imapclient", "msal", "httpx", "httpx2", "urllib3", "uvicorn", "axes"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("django.request").setLevel(logging.ERROR)


def hide_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: replaces what is, or looks like, a secret."""
    for name, value in event.items():
        event[name] = HIDDEN if _SECRET_NAME.search(name) and value else _clean(value)
    return event


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        for pattern, instead in _SECRET_TEXT:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, dict):
        return {
            name: HIDDEN if _SECRET_NAME.search(str(name)) and inner else _clean(inner) for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value
