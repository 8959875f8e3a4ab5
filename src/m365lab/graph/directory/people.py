"""/users, /organization, /domains, /subscribedSkus, and what an id stands for."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from m365lab.directory import User, new_id
from m365lab.exchange import Mailbox
from m365lab.graph.desk import Call
from m365lab.graph.directory import rights
from m365lab.graph.directory.applications import shown as shown_application
from m365lab.graph.directory.entities import bad_request, check_kind, listed, not_found, nothing, one, text_of
from m365lab.graph.directory.principals import shown as shown_principal
from m365lab.graph.directory.rights import demand
from m365lab.graph.errors import GraphError
from m365lab.graph.odata import Kind, Schema
from m365lab.licences import SKUS, Sku, has_exchange

_FILTERABLE: Schema = {
    "id": Kind.GUID,
    "userPrincipalName": Kind.TEXT,
    "mail": Kind.TEXT,
    "displayName": Kind.TEXT,
    "accountEnabled": Kind.FLAG,
}


async def list_users(call: Call) -> Response:
    demand(call, rights.READ_PEOPLE)
    rows = [shown(call, user) for user in call.tenant.directory.users.values()]
    return listed(call, "users", "user", rows, _FILTERABLE)


async def get_user(call: Call) -> Response:
    demand(call, rights.READ_PEOPLE)
    return one(call, "users", "user", shown(call, _user(call)))


async def get_me(call: Call) -> Response:
    """Who is signed in; every client may know."""
    user = call.tenant.directory.users.get(call.caller.user_id)
    if user is None:
        raise GraphError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
    return one(call, "users", "user", shown(call, user))


async def create_user(call: Call) -> Response:
    demand(call, rights.WRITE_PEOPLE)
    values, directory = call.json, call.tenant.directory
    kinds: dict[str, type | tuple[type, ...]] = dict.fromkeys(
        ("displayName", "mailNickname", "userPrincipalName", "usageLocation"), str
    )
    check_kind(values, {**kinds, "accountEnabled": bool, "passwordProfile": dict})
    upn, name = text_of(values, "userPrincipalName").lower(), text_of(values, "displayName")
    text_of(values, "mailNickname")
    password = text_of(values.get("passwordProfile") or {}, "password")
    if upn.rpartition("@")[2] not in directory.domains:
        raise bad_request("The domain portion of the userPrincipalName property is invalid.")
    if directory.user(upn) is not None:
        raise bad_request("Another object with the same value for property userPrincipalName already exists.")
    user = User(new_id(), upn, name, password, values.get("accountEnabled") is not False)
    user.usage_location = values.get("usageLocation") or ""
    directory.users[user.id] = user
    return one(call, "users", "user", shown(call, user), status=201)


async def patch_user(call: Call) -> Response:
    demand(call, rights.WRITE_PEOPLE)
    user, values = _user(call), call.json
    check_kind(values, {"accountEnabled": bool, "displayName": str, "usageLocation": str, "passwordProfile": dict})
    user.enabled = values.get("accountEnabled", user.enabled)
    user.name = values.get("displayName") or user.name
    user.usage_location = values.get("usageLocation") or user.usage_location
    return nothing()


async def assign_license(call: Call) -> Response:
    """200 with the user. A licence with Exchange in it brings a mailbox with it."""
    demand(call, rights.WRITE_PEOPLE)
    user, values, exchange = _user(call), call.json, call.tenant.exchange
    check_kind(values, {"addLicenses": list, "removeLicenses": list})
    added = [_sku(str(item.get("skuId"))) for item in values.get("addLicenses") or [] if isinstance(item, dict)]
    removed = [_sku(str(item)) for item in values.get("removeLicenses") or []]
    if added and not user.usage_location:
        raise bad_request("License assignment cannot be done for user with invalid usage location.")
    kept = [number for number in user.licences if number not in {sku.part_number for sku in removed}]
    user.licences = [*kept, *(sku.part_number for sku in added if sku.part_number not in kept)]
    if has_exchange(user.licences) and exchange.mailbox_of_user(user.id) is None:
        exchange.mailboxes[user.upn] = Mailbox(user.upn, user.name, user.id)
    return one(call, "users", "user", shown(call, user))


async def list_skus(call: Call) -> Response:
    demand(call, rights.READ_ORGANISATION)
    users = call.tenant.directory.users.values()
    tenant_id = call.tenant.directory.tenant_id
    rows = [
        {
            "id": f"{tenant_id}_{sku.id}",
            "appliesTo": "User",
            "capabilityStatus": "Enabled",
            "consumedUnits": sum(sku.part_number in user.licences for user in users),
            "prepaidUnits": {"enabled": sku.bought, "suspended": 0, "warning": 0, "lockedOut": 0},
            "servicePlans": [
                {"servicePlanId": id_, "servicePlanName": name, "provisioningStatus": "Success", "appliesTo": "User"}
                for name, id_ in sku.plans.items()
            ],
            "skuId": sku.id,
            "skuPartNumber": sku.part_number,
        }
        for sku in SKUS.values()
    ]
    return listed(call, "subscribedSkus", "subscribedSku", rows, {})


async def list_organisations(call: Call) -> Response:
    demand(call, rights.READ_ORGANISATION)
    directory = call.tenant.directory
    row = {
        "id": directory.tenant_id,
        "deletedDateTime": None,
        "countryLetterCode": "US",
        "displayName": directory.name,
        "tenantType": "AAD",
        "verifiedDomains": [
            {
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": number == 0,
                "isInitial": ".onmicrosoft." in domain,
                "name": domain,
                "type": "Managed",
            }
            for number, domain in enumerate(directory.domains)
        ],
    }
    return listed(call, "organization", "organization", [row], {"id": Kind.GUID})


async def list_domains(call: Call) -> Response:
    demand(call, rights.READ_ORGANISATION)
    rows = [
        {
            "id": domain,
            "authenticationType": "Managed",
            "isDefault": number == 0,
            "isInitial": ".onmicrosoft." in domain,
            "isVerified": True,
            "supportedServices": ["Email"],
        }
        for number, domain in enumerate(call.tenant.directory.domains)
    ]
    return listed(call, "domains", "domain", rows, {"isDefault": Kind.FLAG})


async def directory_object(call: Call) -> Response:
    """What an object id is the id of: tells an application's from its service principal's."""
    demand(call, rights.READ_APPLICATIONS)
    directory, key = call.tenant.directory, call.part("object")
    if key in directory.applications:
        kind, row = "application", shown_application(call, directory.applications[key])
    elif key in directory.service_principals:
        kind, row = "servicePrincipal", shown_principal(call, directory.service_principals[key])
    elif key in directory.users:
        kind, row = "user", shown(call, directory.users[key])
    else:
        raise not_found(key)
    return one(call, "directoryObjects", "directoryObject", {"@odata.type": f"#microsoft.graph.{kind}"} | row)


def shown(call: Call, user: User) -> dict[str, Any]:
    """The type `user`, as far as the lab knows it."""
    mailbox = call.tenant.exchange.mailbox_of_user(user.id)
    return {
        "id": user.id,
        "deletedDateTime": None,
        "accountEnabled": user.enabled,
        "assignedLicenses": [
            {"disabledPlans": [], "skuId": SKUS[number].id} for number in user.licences if number in SKUS
        ],
        "displayName": user.name,
        "mail": mailbox.address if mailbox else None,
        "mailNickname": user.upn.partition("@")[0],
        "proxyAddresses": [f"SMTP:{mailbox.address}", *(f"smtp:{a}" for a in mailbox.aliases)] if mailbox else [],
        "usageLocation": user.usage_location or None,
        "userPrincipalName": user.upn,
        "userType": "Member",
    }


def _user(call: Call) -> User:
    key = call.part("user")
    found = call.tenant.directory.user(key)
    if found is None:
        raise not_found(key)
    return found


def _sku(id_: str) -> Sku:
    for sku in SKUS.values():
        if sku.id == id_.lower():
            return sku
    raise bad_request(f"License {id_} does not correspond to a valid company License.")


ROUTES = (
    ("GET", "/me", get_me),
    ("GET", "/users", list_users),
    ("POST", "/users", create_user),
    ("GET", "/users/{user}", get_user),
    ("PATCH", "/users/{user}", patch_user),
    ("POST", "/users/{user}/assignLicense", assign_license),
    ("GET", "/subscribedSkus", list_skus),
    ("GET", "/organization", list_organisations),
    ("GET", "/domains", list_domains),
    ("GET", "/directoryObjects/{object}", directory_object),
)
