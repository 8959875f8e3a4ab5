"""Control of the lab itself: overview, clock, faults, limits, sign-ins, other identity providers, reset."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import Field, create_model
from starlette.requests import Request

from m365lab.control import directory, exchange
from m365lab.control.asking import Bad, Model, Table, body
from m365lab.entra.errors import EntraError
from m365lab.faults import VALUES, Fault, FaultName
from m365lab.limits import Limits
from m365lab.works import Works


class NewSkew(Model):
    skew: float = Field(ge=-(10**9), le=10**9)
    """Seconds that the lab's clock is ahead of the real one."""


class NewFault(Model):
    times: int | None = Field(None, ge=1)
    """How often it strikes; left out: until switched off."""
    values: dict[str, str | int | float] = {}


class Approval(Model):
    user: str
    """User principal name of who signs in."""
    decline: bool = False


class DeviceSettings(Model):
    interval: float = Field(gt=0)


class NewIssuer(Model):
    issuer: str = Field(min_length=1)
    jwks: dict[str, Any]


class FederatedToken(Model):
    """What the lab's own identity provider should say."""

    issuer: str = ""
    """Left out: the lab's own."""
    subject: str
    audience: str = directory.FEDERATION_AUDIENCE
    lifetime: float = 600
    """Seconds; negative for a token that has expired."""


LimitsChange = create_model(  # type: ignore[call-overload]
    "LimitsChange",
    __base__=Model,
    **{f.name: (int | None, Field(None, ge=0)) for f in fields(Limits) if not f.name.startswith("_")},
)


def table(works: Works, routes: Table) -> None:
    """Adds the routes."""
    _overview(works, routes)
    _faults(works, routes)
    _limits(works, routes)
    _sign_ins(works, routes)
    _identity_provider(works, routes)


def _overview(works: Works, routes: Table) -> None:
    tenant = works.tenant

    @routes.on("GET", "/state")
    async def state(_: Request) -> dict[str, Any]:
        return {
            "lab": works.describe(),
            "clock": {"skew": tenant.clock.skew, "now": tenant.clock.now().isoformat()},
            "faults": fault_list(works),
            "limits": limits_view(works),
            "applications": [directory.view(works, a) for a in tenant.directory.applications.values()],
            "users": [user.upn for user in tenant.directory.users.values()],
            "mailboxes": [exchange.view(mailbox) for mailbox in tenant.exchange.mailboxes.values()],
            "exchange": {
                "smtp_auth_disabled": tenant.exchange.smtp_auth_disabled,
                "principals": [vars(principal) for principal in tenant.exchange.principals],
            },
            "gone": len(works.office.gone),
        }

    @routes.on("POST", "/reset")
    async def reset(_: Request) -> None:
        works.reset()

    @routes.on("GET", "/clock")
    async def clock(_: Request) -> dict[str, Any]:
        return {"skew": tenant.clock.skew, "now": tenant.clock.now().isoformat()}

    @routes.on("PUT", "/clock")
    async def set_clock(request: Request) -> dict[str, Any]:
        tenant.clock.skew = (await body(request, NewSkew)).skew
        return {"skew": tenant.clock.skew, "now": tenant.clock.now().isoformat()}


def fault_list(works: Works) -> list[dict[str, Any]]:
    """Every fault: whether it is on, how often it still strikes, its values, and which it takes."""
    active = works.tenant.faults.active
    return [
        {
            "name": name.value,
            "on": name in active,
            "times": active[name].times if name in active else None,
            "values": active[name].values if name in active else {},
            "takes": {key: kind.__name__ for key, kind in VALUES.get(name, {}).items()},
        }
        for name in FaultName
    ]


def switch_on(works: Works, name: str, times: int | None, values: dict[str, str | int | float]) -> None:
    """Switches a fault on. Raises `Bad` for an unknown name or value."""
    fault, takes = fault_named(name), VALUES.get(fault_named(name), {})
    checked: dict[str, str | int | float] = {}
    for key, value in values.items():
        if key not in takes:
            known = ", ".join(takes) or "no values"
            raise Bad(f"values.{key}: the fault {fault} does not take it; it takes {known}.")
        try:
            checked[key] = takes[key](value)
        except ValueError as error:
            raise Bad(f"values.{key}: {value!r} is not {takes[key].__name__}.") from error
    works.tenant.faults.switch_on(Fault(fault, times, checked))


def fault_named(name: str) -> FaultName:
    try:
        return FaultName(name)
    except ValueError as error:
        raise Bad(f"No fault {name}; there are {', '.join(FaultName)}.", 404) from error


def _faults(works: Works, routes: Table) -> None:
    @routes.on("GET", "/faults")
    async def list_faults(_: Request) -> list[Any]:
        return list(fault_list(works))

    @routes.on("PUT", "/faults/{name}")
    async def turn_on(request: Request) -> list[Any]:
        fault_named(request.path_params["name"])
        asked = await body(request, NewFault)
        switch_on(works, request.path_params["name"], asked.times, asked.values)
        return list(fault_list(works))

    @routes.on("DELETE", "/faults/{name}")
    async def turn_off(request: Request) -> None:
        works.tenant.faults.switch_off(fault_named(request.path_params["name"]))

    @routes.on("DELETE", "/faults")
    async def clear(_: Request) -> None:
        works.tenant.faults.clear()


def limits_view(works: Works) -> dict[str, Any]:
    return {f.name: getattr(works.tenant.limits, f.name) for f in fields(Limits) if not f.name.startswith("_")}


def _limits(works: Works, routes: Table) -> None:
    @routes.on("GET", "/limits")
    async def show(_: Request) -> dict[str, Any]:
        return limits_view(works)

    @routes.on("PATCH", "/limits")
    async def change(request: Request) -> dict[str, Any]:
        """Only what is named changes; null switches a limit off where it may be off."""
        asked: Model = await body(request, LimitsChange)
        optional = {f.name for f in fields(Limits) if "None" in str(f.type)}
        values = asked.model_dump(exclude_unset=True)
        for name in values:
            if values[name] is None and name not in optional:
                raise Bad(f"{name}: this limit cannot be switched off; set a number.")
        for name, value in values.items():
            setattr(works.tenant.limits, name, value)
        return limits_view(works)


def _sign_ins(works: Works, routes: Table) -> None:
    devices = works.entra.devices

    @routes.on("GET", "/device-codes")
    async def list_codes(_: Request) -> list[Any]:
        return [
            {"user_code": c.user_code, "client_id": c.client_id, "scope": c.scope, "approved_by": c.user_id}
            for c in devices.codes.values()
        ]

    @routes.on("PATCH", "/device-codes")
    async def settings(request: Request) -> dict[str, Any]:
        """Sets how long clients must wait between two questions."""
        devices.interval = (await body(request, DeviceSettings)).interval
        return {"interval": devices.interval}

    @routes.on("POST", "/device-codes/{code}")
    async def decide(request: Request) -> None:
        """Signs a person in with the code, without the page and the password."""
        asked = await body(request, Approval)
        user = works.tenant.directory.user(asked.user)
        if user is None:
            raise Bad(f"user: no user {asked.user}; GET /lab/api/users lists them.")
        try:
            if asked.decline:
                devices.decline(request.path_params["code"])
            else:
                devices.approve(request.path_params["code"], user)
        except EntraError as error:
            raise Bad(str(error), 404) from error


def _identity_provider(works: Works, routes: Table) -> None:
    own = f"{works.entra.authority}/lab/identity-provider"
    keys: dict[str, RSAKey] = {}

    @routes.on("PUT", "/issuers")
    async def add_issuer(request: Request) -> None:
        """Tells the lab the keys of another identity provider, for federated credentials."""
        asked = await body(request, NewIssuer)
        before = works.entra.issuers.key_sets.get(asked.issuer)
        works.entra.issuers.key_sets[asked.issuer] = asked.jwks
        try:
            works.entra.issuers.keys(asked.issuer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            works.entra.issuers.key_sets.pop(asked.issuer)
            if before is not None:
                works.entra.issuers.key_sets[asked.issuer] = before
            raise Bad("jwks: is not a JSON Web Key Set (RFC 7517 section 5).") from error

    @routes.on("POST", "/federated-token")
    async def mint(request: Request) -> dict[str, Any]:
        """A token as another identity provider would give; the lab stands in for that provider too."""
        asked, now = await body(request, FederatedToken), works.tenant.clock.time()
        issuer = asked.issuer or own
        if issuer not in keys:
            keys[issuer] = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        key = keys[issuer]
        works.entra.issuers.key_sets[issuer] = {"keys": [key.as_dict(private=False)]}
        claims = {
            "iss": issuer,
            "sub": asked.subject,
            "aud": asked.audience,
            "iat": int(now),
            "nbf": int(now + min(0.0, asked.lifetime - 600)),
            "exp": int(now + asked.lifetime),
        }
        token = jwt.encode({"typ": "JWT", "alg": "RS256", "kid": str(key.kid)}, claims, key)
        return {"issuer": issuer, "token": token}
