"""An administrator signs in on another device: the device code flow (RFC 8628) by msal.

msal itself rather than azure-identity's DeviceCodeCredential: its token cache can be kept where we want (sealed, in
the database), and code and waiting are two steps, so that a sign-in can be begun in one process and used in another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msal  # type: ignore[import-untyped]
import requests

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.microsoft.claims import AccessToken, Claims
from postroom.microsoft.clouds import Cloud
from postroom.microsoft.entra import answer_of
from postroom.microsoft.ids import application_id
from postroom.microsoft.network import network_code, reason

_TIMEOUT = 30.0
_CLIENTS = ("graph-command-line", "exchange-powershell")
"""Microsoft's own public clients (facts 2). A sign-in with the first often serves Exchange too; where it does not, a
second one is asked for with the client that Exchange's own PowerShell uses."""


@dataclass(frozen=True, slots=True)
class Code:
    """What the administrator has to type, and where."""

    user_code: str
    address: str
    expires_at: float
    """Unix time."""
    flow: Mapping[str, Any] = field(repr=False)
    client: str


class NotSignedIn(Exception):
    """No refresh token serves this resource; the administrator has to sign in (again)."""


class Device:
    """The sign-ins of one administrator in one tenant. Every verb may block on the network, and may raise `Refused`."""

    def __init__(self, cloud: Cloud, tenant: str, proxy: str = "", state: str = "") -> None:
        """`state` is what `state()` gave in another process; a secret."""
        self._cloud, self._tenant = cloud, tenant
        self._cache = msal.SerializableTokenCache()
        if state:
            self._cache.deserialize(state)
        self._http = requests.Session()
        self._http.trust_env = False  # REQUESTS_CA_BUNDLE would override the cloud's own authority
        self._http.verify = cloud.ca_file or True
        if proxy:
            self._http.proxies = {"https": proxy, "http": proxy}
        self._apps: dict[str, msal.PublicClientApplication] = {}

    def state(self) -> str:
        """All there is to go on in another process. A secret: to be sealed."""
        return str(self._cache.serialize())

    def begin(self, resource: str) -> Code:
        """A code for the administrator to type."""
        client = _CLIENTS[1] if resource == self._cloud.exchange_resource else _CLIENTS[0]
        flow = self._ask(lambda: self._app(client).initiate_device_flow(scopes=[f"{resource}/.default"]))
        if "user_code" not in flow:
            raise Refused(_answer(flow))
        return Code(flow["user_code"], flow["verification_uri"], float(flow["expires_at"]), flow, client)

    def finish(self, code: Code) -> None:
        """Waits until the administrator has typed the code, or it has expired."""
        # Milliseconds of waiting are msal's business: it keeps the interval that Entra asks for.
        result = self._ask(lambda: self._app(code.client).acquire_token_by_device_flow(dict(code.flow)))
        if "access_token" not in result:
            raise Refused(_answer(result))

    def has_finished(self, code: Code) -> bool:
        """Asks once, without waiting: False while the administrator has not typed the code. Raises `Refused` when the
        code has expired, or was declined."""
        once = {"exit_condition": lambda _: True}  # msal's own way of not waiting
        result = self._ask(lambda: self._app(code.client).acquire_token_by_device_flow(dict(code.flow), **once))
        if result.get("error") in {"authorization_pending", "slow_down"}:
            return False
        if "access_token" not in result:
            raise Refused(_answer(result))
        return True

    def token(self, resource: str) -> AccessToken:
        """A token by an earlier sign-in. Raises `NotSignedIn`."""
        for client in _CLIENTS:
            for account in self._app(client).get_accounts():
                result = self._ask(partial(self._silently, client, account, resource))
                if result and "access_token" in result:
                    return _token(result)
        raise NotSignedIn(resource)

    def _silently(self, client: str, account: Any, resource: str) -> Any:
        return self._app(client).acquire_token_silent_with_error([f"{resource}/.default"], account)

    def _app(self, client: str) -> msal.PublicClientApplication:
        if client not in self._apps:
            authority = f"{self._cloud.authority.rstrip('/')}/{self._tenant}"
            self._apps[client] = self._ask(
                lambda: msal.PublicClientApplication(
                    application_id(client),
                    authority=authority,
                    token_cache=self._cache,
                    http_client=self._http,
                    instance_discovery=False,  # it would ask login.microsoft.com about every other cloud
                    timeout=_TIMEOUT,
                )
            )
        return self._apps[client]

    def _ask(self, what: Any) -> Any:
        try:
            return what()
        except requests.RequestException as error:
            text = f"{self._cloud.authority}: {reason(error)}"
            raise Refused(Answer(Service.NETWORK, Step.TOKEN, network_code(error), text)) from None
        except ValueError as error:  # msal's word for a tenant that Entra does not know
            raise Refused(Answer(Service.ENTRA, Step.TOKEN, "authority", " ".join(str(error).split())[:500])) from None


def _token(result: Mapping[str, Any]) -> AccessToken:
    value = str(result["access_token"])
    claims = Claims.of(value)
    return AccessToken(value, claims.expires_at, claims)


def _answer(result: Mapping[str, Any]) -> Answer:
    return answer_of(400, json.dumps({key: result[key] for key in result if isinstance(key, str)}, default=str), {})
