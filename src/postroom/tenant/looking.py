"""Reading what is there: from answers of Graph and Exchange to the values of `observed.py`. Pure.

Field names: Graph v1.0 types (facts 3, 7) and the output of Exchange's cmdlets (facts 4).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from postroom.tenant.observed import (
    ApplicationSeen,
    Asked,
    CertificateSeen,
    DelegatedSeen,
    ExchangePrincipal,
    FederatedSeen,
    Granted,
    Licence,
    MailboxSeen,
    Resource,
    ScopedRole,
    SecretSeen,
    UserSeen,
)

Json = Mapping[str, Any]

_EXCHANGE_PLANS = ("EXCHANGE_S_STANDARD", "EXCHANGE_S_ENTERPRISE", "EXCHANGE_S_DESKLESS", "EXCHANGE_L_STANDARD")
"""Service plans that come with a mailbox (Microsoft, "Product names and service plan identifiers for licensing")."""
_END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)


def application(data: Json, federated: Iterable[Json]) -> ApplicationSeen:
    """An `application`."""
    return ApplicationSeen(
        id=data["id"],
        client_id=data["appId"],
        name=data.get("displayName") or "",
        tags=tuple(data.get("tags") or ()),
        asked=tuple(
            Asked(one["resourceAppId"], access["id"], access["type"])
            for one in data.get("requiredResourceAccess") or ()
            for access in one.get("resourceAccess") or ()
        ),
        secrets=tuple(
            SecretSeen(one["keyId"], one.get("displayName") or "", moment(one.get("endDateTime")))
            for one in data.get("passwordCredentials") or ()
        ),
        certificates=tuple(
            CertificateSeen(one.get("keyId") or "", thumbprint(one), moment(one.get("endDateTime")))
            for one in data.get("keyCredentials") or ()
        ),
        federated=tuple(
            FederatedSeen(one["id"], one.get("name") or "", one["issuer"], one["subject"]) for one in federated
        ),
    )


def resource(data: Json) -> Resource:
    """The service principal of a resource, with the app roles that an application may hold."""
    roles = {
        one["value"]: one["id"]
        for one in data.get("appRoles") or ()
        if one.get("value")
        and one.get("isEnabled", True)
        and "Application" in one.get("allowedMemberTypes", ["Application"])
    }
    return Resource(data["appId"], data["id"], roles)


def granted(rows: Iterable[Json]) -> tuple[Granted, ...]:
    """`appRoleAssignment`s."""
    return tuple(Granted(one["id"], one["resourceId"], one["appRoleId"]) for one in rows)


def delegated(rows: Iterable[Json]) -> tuple[DelegatedSeen, ...]:
    """`oAuth2PermissionGrant`s."""
    return tuple(DelegatedSeen(one["id"], one["resourceId"], tuple((one.get("scope") or "").split())) for one in rows)


def licences(rows: Iterable[Json]) -> tuple[Licence, ...]:
    """`subscribedSku`s."""
    return tuple(
        Licence(
            id=one["skuId"],
            name=one.get("skuPartNumber") or "",
            free=int((one.get("prepaidUnits") or {}).get("enabled", 0)) - int(one.get("consumedUnits") or 0),
            has_exchange=any(plan.get("servicePlanName") in _EXCHANGE_PLANS for plan in one.get("servicePlans") or ()),
        )
        for one in rows
    )


def user(data: Json, with_exchange: Iterable[Licence]) -> UserSeen:
    """A `user`; licensed when it has one of the products that come with a mailbox."""
    products = {one.id for one in with_exchange if one.has_exchange}
    has = {one.get("skuId") for one in data.get("assignedLicenses") or ()}
    return UserSeen(data["id"], licensed=bool(products & has), country=data.get("usageLocation") or "")


def exchange_principal(data: Json) -> ExchangePrincipal:
    """A row of Get-ServicePrincipal."""
    names = _words(data, "ObjectId", "Sid", "Identity", "Id", "Guid", "Name", "DisplayName")
    return ExchangePrincipal(str(data.get("AppId") or "").lower(), str(data.get("ObjectId") or "").lower(), names)


def mailbox(
    address: str, box: Json, switches: Json, rights: Iterable[Json], senders: Iterable[Json], people: People
) -> MailboxSeen:
    """From Get-Mailbox, Get-CASMailbox, Get-MailboxPermission and Get-RecipientPermission."""
    full = (one for one in rights if "FullAccess" in _rights(one) and not one.get("Deny"))
    return MailboxSeen(
        address=address,
        user_id=str(box.get("ExternalDirectoryObjectId") or ""),
        names=recipient_names(box),
        shared=str(box.get("RecipientTypeDetails") or "") == "SharedMailbox" or bool(box.get("IsShared")),
        smtp_auth_off=switch(switches.get("SmtpClientAuthenticationDisabled")),
        imap=switch(switches.get("ImapEnabled")) is not False,
        pop=switch(switches.get("PopEnabled")) is not False,
        full_access=people.known(str(one.get("User") or "") for one in full),
        send_as=trustees(senders, people),
        send_on_behalf=people.known(map(str, box.get("GrantSendOnBehalfTo") or ())),
    )


def trustees(rows: Iterable[Json], people: People) -> frozenset[str]:
    """Who may send as the recipient: rows of Get-RecipientPermission."""
    return people.known(
        str(one.get("Trustee") or "")
        for one in rows
        if "SendAs" in _rights(one) and str(one.get("AccessControlType") or "Allow") == "Allow"
    )


def scoped_role(data: Json) -> ScopedRole:
    """A row of Get-ManagementRoleAssignment."""
    role = str(data.get("Role") or "")
    scope = data.get("CustomResourceScope") or data.get("CustomRecipientWriteScope") or ""
    return ScopedRole(
        str(data.get("Name") or data.get("Identity") or ""), role.removeprefix("Application "), str(scope)
    )


def assigned_to(data: Json) -> frozenset[str]:
    """By what a role assignment calls the application that holds it."""
    return _words(data, "App", "RoleAssignee", "RoleAssigneeName", "EffectiveUserName")


class People:
    """Who is who: Exchange calls a person by address, alias, name or id; the wanted state by address."""

    def __init__(self, recipients: Mapping[str, Json]) -> None:
        self._by_name = {name: address for address, data in recipients.items() for name in recipient_names(data)}

    def known(self, names: Iterable[str]) -> frozenset[str]:
        """The same names, those of wanted people as their addresses; all in small letters."""
        return frozenset(self._by_name.get(name.lower(), name.lower()) for name in names if name)


def recipient_names(data: Json) -> frozenset[str]:
    """All by which Exchange may call a recipient as a trustee."""
    keys = ("PrimarySmtpAddress", "UserPrincipalName", "WindowsLiveID", "ExternalDirectoryObjectId")
    return _words(data, *keys, "Alias", "Name", "Identity", "Id", "Guid", "DistinguishedName")


def moment(text: Any) -> datetime:
    """A Graph `DateTimeOffset`; none at all never comes."""
    if not text:
        return _END_OF_TIME
    # Seven digits of a second, which Python before 3.11 and its own isoformat do not have (facts 3).
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).astimezone(UTC)


def thumbprint(data: Json) -> str:
    """SHA-1 of a `keyCredential`, hexadecimal capitals: its `customKeyIdentifier` is base64 of it (facts 1.3)."""
    text = str(data.get("customKeyIdentifier") or "")
    if len(text) == 40 and all(digit in "0123456789abcdefABCDEF" for digit in text):
        return text.upper()
    try:
        return base64.b64decode(text, validate=True).hex().upper()
    except (binascii.Error, ValueError):
        return text


def switch(value: Any) -> bool | None:
    """A boolean as InvokeCommand gives it: true, "True", or nothing for "inherit"."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).lower())


def _rights(data: Json) -> list[str]:
    rights = data.get("AccessRights") or []
    return [part.strip() for part in rights.split(",")] if isinstance(rights, str) else [str(one) for one in rights]


def _words(data: Json, *keys: str) -> frozenset[str]:
    return frozenset(str(data[key]).lower() for key in keys if data.get(key))
