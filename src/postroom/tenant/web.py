"""HTTP to Microsoft's administration: throttling waited out, each answer with its request id, each trip counted.

Graph and Exchange speak through this; what they say wrong is a `Refused`. What may have been carried out although no
answer came is told apart (`NoAnswer`), so that a step can look before it does a thing twice.
"""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.microsoft.clouds import Cloud
from postroom.microsoft.network import network_code, reason
from postroom.tenant.trips import Trips

# Not carried out, says the server. Exchange answers 408 too (facts 4.4).
_BUSY = frozenset({408, 429, 503, 509})
# A gateway that lost its back end: carried out or not.
_GATEWAY = frozenset({502, 504})
_CROWDED = "maximum number of concurrent requests per tenant"
"""Exchange says this as plain text, with whatever status (facts 4.4)."""
_FIRST_PAUSE = 1.0
_AT_ONCE = 8
"""Requests at the same time: Graph and Exchange throttle whoever asks for many more."""
_LOST = (httpx2.ReadError, httpx2.ReadTimeout, httpx2.RemoteProtocolError, httpx2.WriteError)

_FINE = Answer(Service.NETWORK, Step.SET_UP, "", "")

Explain = Callable[[httpx2.Response], Answer]
"""Makes an `Answer` of an HTTP answer that is no success."""


class NoAnswer(Refused):
    """The request went out and no answer came back: it may have been carried out."""


def _silent(sentence: str) -> None:
    """Nobody listens."""


@dataclass
class Web:
    """One connection pool, used by all requests of a run."""

    cloud: Cloud
    proxy: str = field(default="", repr=False)
    tell: Callable[[str], None] = _silent
    """Told when Microsoft makes us wait."""
    patience: float = 300.0
    """Seconds to wait in all, for one request, because Microsoft asked us to."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    transport: httpx2.AsyncBaseTransport | None = None
    trips: Trips = field(default_factory=Trips)
    _client: httpx2.AsyncClient | None = None
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def request(
        self,
        service: Service,
        method: str,
        url: str,
        explain: Explain,
        *,
        headers: Mapping[str, str],
        json: Any = None,
        safe: bool,
    ) -> httpx2.Response:
        """A success. `safe`: doing it twice does no harm, so that it goes out again when no answer comes.

        Raises `Refused`, or `NoAnswer` when it may have been carried out.
        """
        waited, pause = 0.0, _FIRST_PAUSE
        while True:
            response, answer = await self._exchange(service, method, url, explain, headers, json)
            if response is not None and response.is_success:
                return response
            if not self._passes(response, answer):
                raise Refused(answer)
            if not safe and (response is None or response.status_code in _GATEWAY):
                raise NoAnswer(answer)
            wait = answer.retry_after if answer.retry_after is not None else pause
            if waited + wait > self.patience:
                raise Refused(answer)
            if response is not None:
                self.tell(f"{service.capitalize()} is busy and asks to wait {wait:g} s")
            await self.sleep(wait)
            waited, pause = waited + max(wait, 0.001), min(pause * 2, 30.0)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _exchange(
        self, service: Service, method: str, url: str, explain: Explain, headers: Mapping[str, str], json: Any
    ) -> tuple[httpx2.Response | None, Answer]:
        """The HTTP answer (None when the connection broke), and what is wrong with it."""
        sent = {"client-request-id": str(uuid.uuid4()), **headers}
        try:
            async with self._room:
                response = await self._pool().request(method, url, headers=sent, json=json)
        except _LOST as error:
            return None, self._failure(service, error)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise Refused(self._failure(service, error)) from None
        finally:
            self.trips.count()
        return response, _FINE if response.is_success else explain(response)

    @staticmethod
    def _passes(response: httpx2.Response | None, answer: Answer) -> bool:
        """True for what may be otherwise in a while: busy, throttled, a broken connection."""
        return response is None or response.status_code in _BUSY | _GATEWAY or _CROWDED in answer.text

    def _failure(self, service: Service, error: Exception) -> Answer:
        host = httpx2.URL(self.cloud.graph if service is Service.GRAPH else self.cloud.exchange).host
        return Answer(Service.NETWORK, Step.SET_UP, network_code(error), f"{host}: {reason(error)}")

    def _pool(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                verify=ssl.create_default_context(cafile=self.cloud.ca_file or None),
                proxy=self.proxy or None,
                trust_env=False,  # a proxy or an authority from the environment is nobody's setting
                timeout=httpx2.Timeout(60.0, connect=20.0),
                transport=self.transport,
            )
        return self._client


def retry_after(headers: Mapping[str, str]) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date, which is measured by the server's own clock."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])
    except (ValueError, TypeError, KeyError):
        return None
    return max(0.0, until.total_seconds())


def request_id(headers: Mapping[str, str]) -> str:
    """What to quote to Microsoft's support."""
    return headers.get("request-id") or headers.get("x-ms-request-id") or ""
