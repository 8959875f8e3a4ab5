"""The command line's client of the control API."""

from __future__ import annotations

import ssl
from typing import Any

import httpx2

from m365lab.running import Running


class Refused(Exception):
    """The lab did not do it, or was not reached; the message says why."""


class Steering:
    def __init__(self, running: Running) -> None:
        verify: ssl.SSLContext | bool = True
        if running.ca_file:
            verify = ssl.create_default_context(cafile=running.ca_file)
        self._control = running.control
        # Not the machine's proxy settings: the lab is on this machine.
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {running.key}"}, verify=verify, trust_env=False, timeout=30
        )

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer, None for an empty one. Raises `Refused`."""
        try:
            answer = self._http.request(method, f"{self._control}{path}", json=body)
        except httpx2.HTTPError as error:
            raise Refused(f"The lab at {self._control} does not answer ({error}); is it running?") from error
        if answer.is_success:
            return answer.json() if answer.content else None
        try:
            raise Refused(str(answer.json()["error"]))
        except (ValueError, KeyError) as error:
            raise Refused(f"The lab answered {answer.status_code}: {answer.text[:200]}") from error
