"""Microsoft Graph over HTTP, for the sender and the reader: token, errors, throttling, lost answers.

A short Retry-After is waited for here, and the request then goes out whole again; a longer one is handed up, for
the caller's own plan. What may have been done although no answer came is told apart (`NoAnswer`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx2

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.transports import network
from postroom.transports.base import GraphRoute, Observer, Security
from postroom.transports.tokens import token

# It logs every URL at INFO, and the URL of an upload session carries its own authority.
logging.getLogger("httpx2").setLevel(logging.WARNING)

# Microsoft, "Graph throttling guidance": these come with Retry-After, and the request was not carried out.
_THROTTLED = frozenset({429, 503, 509})
# A gateway that lost its back end: the request may have been carried out.
_GATEWAY = frozenset({502, 504})
_LONGEST_WAIT = 10.0
_TRIES = 4


class NoAnswer(Refused):
    """The request went out, and no answer came back: it may have been carried out."""


class GraphClient:
    """Requests for one mailbox. Used by one task at a time."""

    def __init__(
        self,
        route: GraphRoute,
        observer: Observer,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`transport` and `sleep` are the world outside; tests give their own."""
        self._route = route
        self._observe = observer
        self._transport = transport
        self._sleep = sleep
        self._http: httpx2.AsyncClient | None = None
        endpoint = route.endpoint
        scheme = "http" if endpoint.security is Security.NONE else "https"
        port = "" if endpoint.port == (80 if scheme == "http" else 443) else f":{endpoint.port}"
        self.root = f"{scheme}://{endpoint.host}{port}/v1.0"

    async def request(
        self,
        method: str,
        url: str,
        step: Step,
        *,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        authorised: bool = True,
        once: bool = False,
    ) -> httpx2.Response:
        """A success. `once`: it must not be carried out twice, so a gateway's error is no answer.

        Raises `Refused`, or `NoAnswer` when the request may have been carried out.
        """
        force = asked_again = False
        for attempt in range(1, _TRIES + 1):
            sent = dict(headers or {})
            if authorised:
                sent["Authorization"] = f"Bearer {await token(self._route.sign_in, force=force)}"
            response = await self._exchange(method, url, step, json=json, content=content, headers=sent)
            if response.is_success:
                return response
            answer = _answer(step, response)
            if once and response.status_code in _GATEWAY:
                raise NoAnswer(answer)
            force = response.status_code == 401 and authorised and not asked_again
            if force:
                asked_again = True
                continue
            pause = self._pause(response, answer, attempt)
            if pause is None:
                raise Refused(answer)
            await self._sleep(pause)
        raise Refused(answer)

    def _pause(self, response: httpx2.Response, answer: Answer, attempt: int) -> float | None:
        if attempt == _TRIES or response.status_code not in _THROTTLED | _GATEWAY or answer.retry_after is None:
            return None
        return answer.retry_after if answer.retry_after <= _LONGEST_WAIT else None

    async def _exchange(self, method: str, url: str, step: Step, **request: Any) -> httpx2.Response:
        endpoint = self._route.endpoint
        network.refuse_in_the_clear(endpoint, self._route.sign_in, not url.startswith("http://"))
        try:
            return await self._client().request(method, url, extensions={"trace": self._trace}, **request)
        except (httpx2.ReadError, httpx2.ReadTimeout, httpx2.RemoteProtocolError) as error:
            raise NoAnswer(network.failure(error, step, endpoint)) from None
        except httpx2.ProxyError as error:
            text = f"{network.without_password(endpoint.proxy)}: {error}"
            raise Refused(Answer(Service.NETWORK, Step.CONNECT, "proxy", text)) from None
        except httpx2.ConnectError as error:
            raise Refused(network.failure(error, Step.CONNECT, endpoint)) from None
        except httpx2.TimeoutException as error:
            early = Step.CONNECT if isinstance(error, httpx2.ConnectTimeout) else step
            text = f"{endpoint.host} port {endpoint.port}: no answer within {endpoint.timeout:g} seconds"
            raise Refused(Answer(Service.NETWORK, early, "timeout", text)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Refused(network.failure(error, step, endpoint)) from None

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            endpoint = self._route.endpoint
            if endpoint.proxy and not endpoint.proxy.startswith(("http://", "socks5://")):
                text = (
                    f"{network.without_password(endpoint.proxy)}: Graph goes through http:// and socks5:// proxies only"
                )
                raise Refused(Answer(Service.NETWORK, Step.CONNECT, "proxy", text))
            self._http = httpx2.AsyncClient(
                verify=network.tls_context(endpoint),
                proxy=endpoint.proxy or None,
                trust_env=False,  # a proxy or an authority from the environment is nobody's setting
                timeout=endpoint.timeout,
                transport=self._transport,
            )
        return self._http

    async def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Told by httpcore of each step ("Request extensions: trace")."""
        stream = info.get("return_value")
        if event == "connection.connect_tcp.complete" and stream is not None:
            address = stream.get_extra_info("server_addr") or ("?", 0)
            self._observe(Step.RESOLVE, str(address[0]))
            self._observe(Step.CONNECT, f"{address[0]} port {address[1]}")
        if event.endswith("start_tls.complete") and stream is not None:
            tls = stream.get_extra_info("ssl_object")
            if tls is not None:
                self._observe(Step.TLS, network.describe_tls(tls))

    async def reach(self) -> None:
        """Connects and gets a token, whatever the application may do there. Raises `Refused`."""
        await self._exchange("GET", f"{self.root}/", Step.CONNECT)
        await token(self._route.sign_in)
        self._observe(Step.SIGN_IN, f"access token for {self._route.sign_in.user}")

    def mailbox(self, path: str) -> str:
        """The URL of something of the mailbox."""
        return f"{self.root}/users/{quote(self._route.sign_in.user, safe='@')}/{path}"

    async def close(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()


def _answer(step: Step, response: httpx2.Response) -> Answer:
    """Graph's error body (Microsoft, "Graph error responses": branch on `code`, walk the inner errors)."""
    try:
        error = response.json()["error"]
        code, message = str(error["code"]), str(error.get("message", ""))
    except (ValueError, KeyError, TypeError):
        error, code, message = {}, str(response.status_code), response.text[:500]
    inner = error.get("innerError") or error.get("innererror") or {}
    inner = inner if isinstance(inner, dict) else {}
    return Answer(
        Service.GRAPH,
        step,
        code,
        " ".join(message.split()),
        status=response.status_code,
        retry_after=_retry_after(response.headers),
        request_id=str(inner.get("request-id") or response.headers.get("request-id", "")),
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date, which is measured by the server's own clock."""
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])
    except (ValueError, TypeError, KeyError):
        return None
    return max(0.0, until.total_seconds())
