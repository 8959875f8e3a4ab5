"""`POST /{tenant}/oauth2/v2.0/token`: from a form to a token, or to an `EntraError`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from m365lab.directory import User
from m365lab.entra import resources
from m365lab.entra.clients import Issuers, find_caller, prove
from m365lab.entra.devices import Devices
from m365lab.entra.errors import KNOWN, EntraError
from m365lab.entra.people import People
from m365lab.faults import FaultName
from m365lab.tenant import Tenant

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SHARED_TENANTS = frozenset({"common", "organizations"})


@dataclass
class Entra:
    """The sign-in service of one tenant. `authority` is its address, without tenant."""

    tenant: Tenant
    authority: str
    issuers: Issuers = field(default_factory=Issuers)
    devices: Devices = field(init=False)
    people: People = field(init=False)

    def __post_init__(self) -> None:
        self.devices = Devices(self.tenant.clock)
        self.people = People(self.tenant)

    @property
    def issuer(self) -> str:
        return f"{self.authority}/{self.tenant.directory.tenant_id}/v2.0"

    def check_tenant(self, name: str, *, shared: bool = True) -> None:
        """Raises `EntraError` 90002 for another tenant; `common` and `organizations` mean ours unless not `shared`."""
        if name.lower() in _SHARED_TENANTS:
            if not shared:
                raise EntraError(9001023)
        elif not self.tenant.directory.names_tenant(name):
            raise EntraError(90002, {"tenant": name})

    def token(self, tenant_name: str, form: Mapping[str, str], authorization: str) -> dict[str, Any]:
        """The answer to a token request. Raises `EntraError`."""
        self._troubles()
        grant = form.get("grant_type", "")
        if not grant:
            raise EntraError(900144, {"parameter": "grant_type"})
        self.check_tenant(tenant_name, shared=grant != "client_credentials")
        answers: dict[str, Callable[[], dict[str, Any]]] = {
            "client_credentials": lambda: self._client_credentials(form, authorization),
            DEVICE_GRANT: lambda: self._device_code(form),
            "device_code": lambda: self._device_code(form),
            "refresh_token": lambda: self._refresh(form),
        }
        if grant not in answers:
            raise EntraError(70003, {"grant_type": grant})
        return answers[grant]()

    def device_code(self, tenant_name: str, form: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a request for a device code. Raises `EntraError`."""
        self._troubles()
        self.check_tenant(tenant_name)
        client_id = _needed(form, "client_id").lower()
        self.people.check_client(client_id)
        scope = _needed(form, "scope")
        resources.resource(self.tenant.directory, resources.delegated(scope).audience)
        code = self.devices.start(client_id, scope)
        address = f"{self.authority}/common/oauth2/deviceauth"
        return {
            "user_code": code.user_code,
            "device_code": code.device_code,
            "verification_uri": address,
            "expires_in": round(code.ends_at - self.tenant.clock.time()),
            "interval": code.interval,
            "message": f"To sign in, use a web browser to open the page {address} and enter the code "
            f"{code.user_code} to authenticate.",
        }

    def _client_credentials(self, form: Mapping[str, str], authorization: str) -> dict[str, Any]:
        tenant = self.tenant
        caller = find_caller(tenant, form, authorization)
        wanted = resources.app_only(form.get("scope", ""))
        appidacr = prove(tenant, self.issuers, caller, self._is_our_audience)
        target = resources.resource(tenant.directory, wanted.audience)
        if tenant.faults.strikes(FaultName.CONDITIONAL_ACCESS):
            raise EntraError(53003)
        roles = tenant.directory.granted_roles(caller.principal, target)
        lifetime = self._lifetime()
        token = tenant.tokens.app_token(caller.principal, wanted.audience, roles, appidacr, lifetime=lifetime)
        return {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}

    def _device_code(self, form: Mapping[str, str]) -> dict[str, Any]:
        client_id = _needed(form, "client_id").lower()
        self.people.check_client(client_id)
        code = self.devices.redeem(_needed(form, "device_code"), client_id)
        user = self.tenant.directory.users[code.user_id]
        return self._for_person(client_id, user, form.get("scope") or code.scope, form)

    def _refresh(self, form: Mapping[str, str]) -> dict[str, Any]:
        client_id = _needed(form, "client_id").lower()
        self.people.check_client(client_id)
        user = self.people.recall(_needed(form, "refresh_token"), client_id)
        return self._for_person(client_id, user, _needed(form, "scope"), form)

    def _for_person(self, client_id: str, user: User, scope: str, form: Mapping[str, str]) -> dict[str, Any]:
        wanted = resources.delegated(scope)
        granted = self.people.granted(client_id, user, wanted)
        if self.tenant.faults.strikes(FaultName.CONDITIONAL_ACCESS):
            raise EntraError(53003)
        lifetime = self._lifetime()
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(f"{wanted.audience}/{name}" for name in granted.split()),
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self.tenant.tokens.user_token(
                client_id,
                wanted.audience,
                granted,
                user.id,
                user.upn,
                directory_roles=user.directory_roles,
                lifetime=lifetime,
            ),
        }
        asked = scope.split()
        if "offline_access" in asked:
            answer["refresh_token"] = self.people.remember(client_id, user)
        if "openid" in asked:
            answer["id_token"] = self.tenant.tokens.id_token(self.issuer, client_id, user)
        if form.get("client_info"):
            account = {"uid": user.id, "utid": self.tenant.directory.tenant_id}
            answer["client_info"] = base64.urlsafe_b64encode(json.dumps(account).encode()).decode().rstrip("=")
        return answer

    def _is_our_audience(self, audience: str) -> bool:
        """May a client assertion be meant for us? The token endpoint's address, or the issuer's (facts 1.3)."""
        prefix = f"{self.authority}/"
        if not audience.startswith(prefix):
            return False
        name, _, rest = audience.removeprefix(prefix).partition("/")
        return self.tenant.directory.names_tenant(name) and rest in {"oauth2/v2.0/token", "oauth2/token", "v2.0"}

    def _lifetime(self) -> int:
        fault = self.tenant.faults.strikes(FaultName.TOKEN_SHORT)
        return int(fault.values.get("seconds", 60)) if fault else self.tenant.tokens.lifetime

    def _troubles(self) -> None:
        """The faults that strike before a request is looked at."""
        faults = self.tenant.faults
        if fault := faults.strikes(FaultName.TOKEN_DOWN):
            raise EntraError(90033, status=int(fault.values.get("status", 503)))
        if fault := faults.strikes(FaultName.TOKEN_THROTTLED):
            raise EntraError(90055, headers={"Retry-After": str(fault.values.get("retry_after", 5))})
        if fault := faults.strikes(FaultName.ENTRA_ERROR):
            code = int(fault.values.get("code", 90033))
            text = str(fault.values.get("text", "")) or _bare_text(code)
            raise EntraError(
                code, status=int(fault.values.get("status", 0)), error=str(fault.values.get("error", "")), text=text
            )


def _needed(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise EntraError(900144, {"parameter": name})
    return value


def _bare_text(code: int) -> str:
    """The known text of an error that a person switched on without values: its places stay as they are."""
    return KNOWN[code].text if code in KNOWN else ""
