"""Entra's errors: Microsoft's numbers and sentences, in Microsoft's JSON (facts 1.1 and 5).

Confidence of the texts: as marked in facts 5 where the number stands there. What is marked [D] below is worded after
Microsoft's "Microsoft Entra authentication and authorization error codes" (entra-docs, reference-error-codes.md,
04f6554); [I] was seen in public issues; [U] is from memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from m365lab.directory import new_id


@dataclass(frozen=True)
class Known:
    """How Entra words one of its errors: HTTP status, OAuth 2.0 error, text with places for values."""

    status: int
    error: str
    text: str


KNOWN: dict[int, Known] = {
    # The request
    900144: Known(400, "invalid_request", "The request body must contain the following parameter: '{parameter}'."),
    70003: Known(400, "unsupported_grant_type", "The app requested an unsupported grant type '{grant_type}'."),  # [D]
    90002: Known(
        400,
        "invalid_request",
        "Tenant '{tenant}' not found. This may happen if there are no active subscriptions for the tenant. Check to "
        "make sure you have the correct tenant ID. Check with your subscription administrator.",
    ),
    9001023: Known(
        400,
        "invalid_request",
        "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or "
        "tenant-specific endpoint.",
    ),  # [D]
    # The application
    700016: Known(
        400,
        "unauthorized_client",
        "Application with identifier '{app_id}' was not found in the directory '{tenant}'. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You may have sent your authentication request to the wrong tenant.",
    ),
    7000112: Known(400, "unauthorized_client", "Application '{app_id}'({name}) is disabled."),
    # The scope
    1002012: Known(
        400,
        "invalid_scope",
        "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with "
        "/.default suffixed to the resource identifier (application ID URI).",
    ),
    70011: Known(
        400,
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid.",
    ),
    28003: Known(
        400,
        "invalid_scope",
        "Provided value for the input parameter scope cannot be empty when requesting an access token using the "
        "provided authorization code. Please specify a valid scope.",
    ),
    700022: Known(
        400,
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid because it contains more than one resource. "
        "Scope {scope} is not valid.",
    ),
    500011: Known(
        400,
        "invalid_resource",
        "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You might have sent your authentication request to the wrong tenant.",
    ),
    650052: Known(
        400,
        "invalid_client",
        "The app is trying to access a service '{resource}' that your organization '{tenant}' lacks a service "
        "principal for. Contact your IT Admin to review the configuration of your service subscriptions or consent to "
        "the application in order to create the required service principal.",
    ),
    650056: Known(
        400,
        "invalid_client",
        "Misconfigured application. This could be due to one of the following: the client has not listed any "
        "permissions for '{resource}' in the requested permissions in the client's application registration. Or, the "
        "admin has not consented in the tenant. Or, check the application identifier in the request to ensure it "
        "matches the configured client application identifier.",
    ),
    90008: Known(
        400,
        "invalid_grant",
        "The user or administrator has not consented to use the application with ID '{app_id}'. This happened because "
        "application is misconfigured: it must require access to Windows Azure Active Directory by specifying at least "
        "'Sign in and read user profile' permission.",
    ),
    # The credential
    7000218: Known(
        401,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    7000215: Known(
        401,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        "the client secret ID, for a secret added to app '{app_id}'.",
    ),
    7000222: Known(
        401,
        "invalid_client",
        "The provided client secret keys for app '{app_id}' are expired. Visit the Azure portal to create new keys for "
        "your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: "
        "https://aka.ms/certCreds.",
    ),
    50027: Known(401, "invalid_client", "Invalid JWT token. {reason}"),
    700027: Known(
        401,
        "invalid_client",
        "The certificate with identifier used to sign the client assertion is not registered on application. "
        "[Reason - {reason}, Thumbprint of key used by client: '{thumbprint}', Please visit the Azure Portal, Graph "
        "Explorer or directly use MS Graph to see configured keys for app Id '{app_id}'. Review the documentation at "
        "https://docs.microsoft.com/en-us/graph/deployments to determine the corresponding service endpoint and "
        "https://docs.microsoft.com/en-us/graph/api/application-get?view=graph-rest-1.0&tabs=http to build a query "
        "request URL, such as 'https://graph.microsoft.com/beta/applications/{app_id}'].",
    ),
    50012: Known(
        401, "invalid_client", "Authentication failed: client assertion contains an invalid signature."
    ),  # [D]
    50048: Known(401, "invalid_client", "Subject must match Issuer claim in the client assertion."),  # [D]
    700021: Known(
        401, "invalid_client", "Client assertion application identifier doesn't match 'client_id' parameter."
    ),  # [D]
    700023: Known(401, "invalid_client", "Client assertion audience claim does not match Realm issuer."),  # [D]
    700024: Known(
        401,
        "invalid_client",
        "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {starts}, "
        "expiry time of assertion {ends}.",
    ),  # [I]
    700030: Known(
        401,
        "invalid_client",
        "Invalid certificate - subject name in certificate is not authorized. SubjectNames/SubjectAlternativeNames "
        "(up to 10) in token certificate are: {subjects}.",
    ),  # [D]
    70025: Known(
        401, "invalid_client", "The client '{app_id}'({name}) has no configured federated identity credentials."
    ),  # [I]
    700211: Known(
        401, "invalid_client", "No matching federated identity record found for presented assertion issuer '{issuer}'."
    ),  # [I]
    700212: Known(
        401,
        "invalid_client",
        "No matching federated identity record found for presented assertion audience '{audience}'.",
    ),  # [I]
    700213: Known(
        401,
        "invalid_client",
        "No matching federated identity record found for presented assertion subject '{subject}'.",
    ),  # [I]
    700229: Known(
        401,
        "invalid_client",
        "Forbidden token type. Only app-only tokens can be used as Federated Identity Credentials for AAD issuer.",
    ),
    # People
    50126: Known(400, "invalid_grant", "Error validating credentials due to invalid username or password."),  # [D]
    50057: Known(400, "invalid_grant", "The user account is disabled."),  # [D]
    65001: Known(
        400,
        "invalid_grant",
        "The user or administrator has not consented to use the application with ID '{app_id}' named '{name}'. Send an "
        "interactive authorization request for this user and resource.",
    ),
    700082: Known(400, "invalid_grant", "The refresh token has expired due to inactivity."),  # [D]
    9002313: Known(400, "invalid_grant", "Invalid request. Request is malformed or invalid."),
    # Signing in with a code on another device (RFC 8628 section 3.5)
    70016: Known(
        400,
        "authorization_pending",
        "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
    ),  # [I]
    70018: Known(400, "bad_verification_code", "Invalid verification code due to typo or code expired."),  # [D]
    70020: Known(
        400,
        "expired_token",
        "The provided value for the input parameter 'device_code' is not valid. This device code has expired.",
    ),  # [I]
    90120: Known(400, "authorization_declined", "The request was already authorized or declined."),  # [D]
    # Policy, and the service's own troubles
    53003: Known(
        400,
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    ),
    50196: Known(
        400,
        "invalid_grant",
        "The server terminated an operation because it encountered a client request loop. Please contact your app "
        "vendor.",
    ),
    90006: Known(503, "temporarily_unavailable", "The service is temporarily unavailable. Please retry later."),
    90024: Known(503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    90033: Known(503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    50033: Known(503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    90055: Known(429, "temporarily_unavailable", "There are too many incoming requests."),
}


@dataclass
class EntraError(Exception):
    """Entra says no. `values` fill the text of the known error `code`; `text`, `error`, `status` replace its own."""

    code: int
    values: dict[str, str] = field(default_factory=dict)
    status: int = 0
    error: str = ""
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = KNOWN.get(self.code, Known(400, "invalid_request", "An error has occurred."))
        self.status = self.status or known.status
        self.error = self.error or known.error
        self.text = self.text or known.text.format_map(self.values)
        super().__init__(f"AADSTS{self.code}: {self.text}")

    def body(self, now: datetime, correlation_id: str = "") -> dict[str, Any]:
        """The JSON of facts 1.1, with new trace ids. `now` is the lab's time."""
        trace_id, correlation_id = new_id(), correlation_id or new_id()
        timestamp = f"{now:%Y-%m-%d %H:%M:%SZ}"
        description = (
            f"AADSTS{self.code}: {self.text}\r\nTrace ID: {trace_id}\r\nCorrelation ID: {correlation_id}\r\n"
            f"Timestamp: {timestamp}"
        )
        return {
            "error": self.error,
            "error_description": description,
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.code}",
        }
