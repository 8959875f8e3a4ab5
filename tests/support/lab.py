"""A lab in a process of its own, for tests of the lab and of everything that speaks with it."""

from __future__ import annotations

import json
import os
import selectors
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import httpx2

_START_SECONDS = 60
_STOP_SECONDS = 15


class RunningLab:
    """`python -m m365lab --json` on free ports. Attributes are named as the keys of its JSON line.

    Use it as a context manager, or call `start` and `stop`.
    """

    cloud: dict[str, Any]
    tenant_id: str
    domain: str
    application: dict[str, str]
    mailboxes: list[str]
    administrator: dict[str, str]
    ca_file: str
    control_url: str
    control_key: str
    page: str
    introspection_url: str

    def __init__(self, *arguments: str, folder: Path | None = None) -> None:
        self._arguments = arguments
        self._folder = folder
        self._own = tempfile.TemporaryDirectory(prefix="lab-test-")
        self._errors = Path(self._own.name, "stderr")
        self.process: subprocess.Popen[str] | None = None
        self._http: httpx2.Client | None = None

    def start(self) -> Self:
        """Waits for the JSON line. Raises `RuntimeError` with what the lab wrote when it does not come."""
        ports = [f"--{name}-port=0" for name in ("https", "smtp", "imap", "pop", "introspection")]
        folder = ["--folder", str(self._folder)] if self._folder else []
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "m365lab", "--json", *ports, *folder, *self._arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # Where the lab announces itself: not where a lab that a person runs does.
                env=os.environ | {"XDG_STATE_HOME": self._own.name},
            )
        described = json.loads(self._first_line() or self._fail())
        self.described: dict[str, Any] = dict(described)
        self.control_url = described.pop("control")
        for name, value in described.items():
            setattr(self, name, value)
        self._http = httpx2.Client(
            base_url=self.control_url,
            headers={"Authorization": f"Bearer {self.control_key}"},
            verify=self.ssl_context(),
            trust_env=False,
            timeout=60,
        )
        return self

    def ssl_context(self) -> ssl.SSLContext:
        """Trusts the lab's authority, and checks names."""
        return ssl.create_default_context(cafile=self.ca_file)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the control API, such as `control("PUT", "/faults/slow", {"times": 1})`; returns its JSON.

        Raises `httpx2.HTTPStatusError` when the lab refuses it.
        """
        if self._http is None:
            raise RuntimeError("the lab is not started")
        answer = self._http.request(method, path.lstrip("/"), json=body)
        if answer.is_error:
            raise httpx2.HTTPStatusError(answer.text, request=answer.request, response=answer)
        if answer.headers.get("content-type", "").startswith("message/rfc822"):
            return answer.content
        return answer.json() if answer.content else None

    def token(self, resource: str = "https://outlook.office365.com", **changes: str) -> str:
        """An access token of the ready-made application; `changes` replace fields of the request."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.application["client_id"],
            "client_secret": self.application["client_secret"],
            "scope": f"{resource}/.default",
        }
        address = f"{self.cloud['authority']}/{self.tenant_id}/oauth2/v2.0/token"
        with httpx2.Client(verify=self.ssl_context(), trust_env=False) as http:
            answer = http.post(address, data=form | changes)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def reset(self) -> None:
        """Puts the tenant back to what it was at the start."""
        self.control("POST", "/reset")

    def stop(self) -> int:
        """Asks the lab to stop, and returns its exit status."""
        if self._http is not None:
            self._http.close()
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            status = self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def errors(self) -> str:
        """What the lab wrote to its standard error."""
        return self._errors.read_text() if self._errors.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _first_line(self) -> str:
        """The line of `--json`; "" when the process ended or takes too long."""
        if self.process is None or self.process.stdout is None:
            return ""
        deadline = time.monotonic() + _START_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            ready = selector.select(max(0.0, deadline - time.monotonic()))
        return self.process.stdout.readline() if ready else ""

    def _fail(self) -> str:
        errors = self.errors()
        status = self.stop()
        raise RuntimeError(f"the lab did not start (exit status {status}): {errors}")
