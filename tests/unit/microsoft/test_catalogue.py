"""Every row of the catalogue against what Microsoft really says (facts section 5), and no answer fits two rows."""

# ruff: noqa: E501 - the answers stand here as they were said
from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.microsoft.answers import Answer, Service, Step
from postroom.microsoft.catalogue import Kind, as_markdown, fault, faults, find
from postroom.microsoft.errors import explain
from postroom.microsoft.ids import application_id

ROOT = Path(__file__).parents[3]
STAMP = "[SN2PR00CA0018.namprd00.prod.outlook.com 2025-07-22T09:34:23.313Z 08DDC8A1B2C3D4E5]"
EXCEPTION = "STOREDRV.Submission.Exception:"


def net(code: str, text: str) -> Answer:
    return Answer(Service.NETWORK, Step.CONNECT, code, text)


def entra(code: int, text: str = "", oauth_error: str = "invalid_client", status: int = 401) -> Answer:
    return Answer(Service.ENTRA, Step.TOKEN, f"AADSTS{code}", f"AADSTS{code}: {text}", oauth_error, status)


def smtp(code: str, enhanced: str, text: str, step: Step = Step.DATA) -> Answer:
    return Answer(Service.SMTP, step, code, text, enhanced)


def imap(code: str, text: str, step: Step = Step.SIGN_IN) -> Answer:
    return Answer(Service.IMAP, step, code, text)


def pop(text: str, step: Step = Step.SIGN_IN) -> Answer:
    return Answer(Service.POP3, step, "-ERR", text)


def graph(code: str, text: str, status: int, step: Step = Step.DATA) -> Answer:
    return Answer(Service.GRAPH, step, code, text, status=status)


SAID: list[tuple[str, Answer]] = [
    ("network-name", net("resolve", "[Errno -2] Name or service not known")),
    ("network-refused", net("refused", "[Errno 111] Connection refused")),
    ("network-timeout", net("timeout", "timed out")),
    ("network-lost", net("lost", "[Errno 104] Connection reset by peer")),
    ("network-proxy", net("proxy", "Tunnel connection failed: 407 Proxy Authentication Required")),
    (
        "certificate-authority",
        net("certificate", "certificate verify failed: self-signed certificate in certificate chain"),
    ),
    ("certificate-authority", net("certificate", "certificate verify failed: unable to get local issuer certificate")),
    (
        "certificate-name",
        net("certificate", "certificate verify failed: Hostname mismatch, certificate is not valid for 'x'."),
    ),
    ("certificate-name", net("certificate", "IP address mismatch, certificate is not valid for '127.0.0.2'.")),
    ("certificate-time", net("certificate", "certificate verify failed: certificate has expired")),
    ("certificate-time", net("certificate", "certificate verify failed: certificate is not yet valid")),
    ("certificate-file", net("certificate", "Could not find a suitable TLS CA certificate bundle, invalid path: /x")),
    ("tls-plain-answer", net("tls", "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")),
    ("tls-plain-answer", net("tls", "[SSL] record layer failure (_ssl.c:1006)")),
    ("tls-not-offered", net("tls", "the server does not offer STARTTLS")),
    ("tls-failed", net("tls", "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure")),
    ("tls-failed", net("tls", "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol")),
    (
        "entra-wrong-secret",
        entra(
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            "not the client secret ID, for a secret added to app 'a'.",
        ),
    ),
    (
        "entra-secret-expired",
        entra(
            7000222,
            "The provided client secret keys for app 'a' are expired. Visit the Azure portal to create new keys for "
            "your app: https://aka.ms/NewClientSecret, or consider using certificate credentials",
        ),
    ),
    (
        "entra-application-unknown",
        entra(
            700016, "Application with identifier 'a' was not found in the directory 'b'.", "unauthorized_client", 400
        ),
    ),
    ("entra-tenant-unknown", entra(90002, "Tenant 't' not found. Check to make sure", "invalid_request", 400)),
    (
        "entra-tenant-unknown",
        entra(900023, "Specified tenant identifier 'x' is neither a valid", "invalid_request", 400),
    ),
    ("entra-resource-missing", entra(500011, "The resource principal named x was not found", "invalid_resource", 400)),
    (
        "entra-scope-not-default",
        entra(
            1002012,
            "The provided value for scope X is not valid. Client credential flows must have a scope value with /.default",
            "invalid_scope",
            400,
        ),
    ),
    ("entra-scope-not-default", entra(70011, "The provided value for the input parameter", "invalid_scope", 400)),
    ("entra-scope-several", entra(28002, "", "invalid_scope", 400)),
    ("entra-scope-several", entra(28003, "", "invalid_scope", 400)),
    ("entra-scope-several", entra(700022, "", "invalid_scope", 400)),
    (
        "entra-certificate-unknown",
        entra(
            700027,
            "The certificate with identifier used to sign the client assertion is not registered on application.",
        ),
    ),
    ("entra-assertion-time", entra(700024, "Client assertion is not within its valid time range.")),
    ("entra-assertion-invalid", entra(50027, "No certificate thumbprint specified in token header")),
    ("entra-assertion-invalid", entra(700030)),
    ("entra-assertion-invalid", entra(50012)),
    ("entra-assertion-invalid", entra(50048)),
    ("entra-assertion-invalid", entra(700229)),
    (
        "entra-federation-unmatched",
        entra(70021, "No matching federated identity record found for presented assertion.", "invalid_request", 400),
    ),
    ("entra-federation-unmatched", entra(700213, "No matching federated identity record found")),
    ("entra-federation-unmatched", entra(7002138, "No matching federated identity record found")),
    (
        "entra-conditional-access",
        entra(53003, "Access has been blocked by Conditional Access policies.", "access_denied", 400),
    ),
    ("entra-application-disabled", entra(7000112, "Application is disabled.", "unauthorized_client", 400)),
    ("entra-consent-missing", entra(65001, "", "invalid_grant", 400)),
    ("entra-consent-missing", entra(650052)),
    ("entra-consent-missing", entra(650056)),
    ("entra-consent-missing", entra(90008)),
    ("entra-request-incomplete", entra(7000218, "must contain: 'client_assertion' or 'client_secret'")),
    ("entra-request-incomplete", entra(900144, "must contain the following parameter", "invalid_request", 400)),
    ("entra-account-unknown", entra(50034, "The user account does not exist in the directory", "invalid_grant", 400)),
    ("entra-loop", entra(50196, "The server terminated an operation because it encountered a client request loop.")),
    ("entra-throttled", entra(90055, "Throttled", "temporarily_unavailable", 429)),
    ("entra-throttled", Answer(Service.ENTRA, Step.TOKEN, "HTTP429", "Too Many Requests", status=429)),
    ("entra-unavailable", entra(90033, "A transient error has occurred.", "temporarily_unavailable", 503)),
    ("entra-unavailable", entra(90006)),
    ("entra-unavailable", entra(50033)),
    ("entra-unavailable", entra(90024)),
    ("entra-unavailable", Answer(Service.ENTRA, Step.TOKEN, "HTTP503", "Service Unavailable", status=503)),
    ("credential-unusable", Answer(Service.ENTRA, Step.TOKEN, "credential", "the token file /x is empty")),
    ("smtp-sign-in-refused", smtp("535", "5.7.3", f"Authentication unsuccessful {STAMP}", Step.SIGN_IN)),
    (
        "smtp-auth-disabled-tenant",
        smtp(
            "535",
            "5.7.139",
            "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
            f"Visit https://aka.ms/smtp_auth_disabled for more information. {STAMP}",
            Step.SIGN_IN,
        ),
    ),
    (
        "smtp-auth-disabled-mailbox",
        smtp(
            "535",
            "5.7.139",
            "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. "
            f"Visit https://aka.ms/smtp_auth_disabled for more information. {STAMP}",
            Step.SIGN_IN,
        ),
    ),
    (
        "smtp-basic-disabled",
        smtp("535", "5.7.139", f"Authentication unsuccessful, basic authentication is disabled. {STAMP}", Step.SIGN_IN),
    ),
    (
        "smtp-policy-refused",
        smtp("535", "5.7.139", "Authentication unsuccessful, the request did not meet the criteria", Step.SIGN_IN),
    ),
    ("smtp-basic-retired", smtp("550", "5.7.30", "Basic authentication is not supported for Client Submission.")),
    ("smtp-not-signed-in", smtp("530", "5.7.57", f"Client not authenticated to send mail {STAMP}", Step.SENDER)),
    (
        "smtp-mailbox-logon",
        smtp(
            "430",
            "4.2.0",
            "STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException."
            "MapiExceptionLogonFailed; Failed to process message due to a transient exception with message "
            "Cannot open mailbox. Server = X",
        ),
    ),
    (
        "smtp-sender-not-allowed",
        smtp("550", "5.7.60", f"SMTP; Client does not have permissions to send as this sender {STAMP}"),
    ),
    (
        "smtp-send-as-denied",
        smtp(
            "554",
            "5.2.252",
            f"SendAsDenied; a@x not allowed to send as b@y; {EXCEPTION}SendAsDeniedException.MapiExceptionSendAsDenied; "
            "Failed to process message due to a permanent exception with message [BeginDiagnosticData]Cannot submit",
        ),
    ),
    (
        "smtp-send-as-denied",
        smtp("554", "5.2.0", f"{EXCEPTION}SendAsDeniedException.MapiExceptionSendAsDenied; Failed"),
    ),
    (
        "smtp-too-many-connections",
        smtp("432", "4.3.2", "STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=X]"),
    ),
    ("smtp-too-many-connections", smtp("432", "4.3.2", "Concurrent connections limit exceeded.", Step.SENDER)),
    ("smtp-daily-quota", smtp("554", "5.2.0", f"{EXCEPTION}SubmissionQuotaExceededException; Failed to process")),
    (
        "smtp-outbound-spam",
        smtp(
            "554",
            "5.2.0",
            f"{EXCEPTION}OutboundSpamException; Failed to process message due to a permanent exception with message "
            "WASCL UserAction verdict is not None. Actual verdict is Suspend",
        ),
    ),
    (
        "smtp-own-mailbox-full",
        smtp("554", "5.2.2", f"mailbox full; {EXCEPTION}QuotaExceededException.MapiExceptionShutoffQuotaExceeded"),
    ),
    (
        "smtp-tenant-external-limit",
        smtp("550", "5.7.233", "Your message can't be sent because your tenant exceeded its daily limit for sending"),
    ),
    ("smtp-trial-limit", smtp("550", "5.7.232", "Your message can't be sent because your trial tenant exceeded")),
    (
        "smtp-address-refused",
        smtp("550", "5.7.708", "Service unavailable. Access denied, traffic not accepted from this IP."),
    ),
    ("smtp-xoauth2-malformed", smtp("501", "5.5.124", "Invalid XOAUTH2 auth data", Step.SIGN_IN)),
    ("smtp-password-refused", smtp("535", "5.7.8", "Username and Password not accepted.", Step.SIGN_IN)),
    ("smtp-password-refused", smtp("534", "5.7.9", "Application-specific password required.", Step.SIGN_IN)),
    ("message-too-large", smtp("552", "5.3.4", "Message size exceeds fixed maximum message size")),
    ("message-too-large", smtp("554", "5.2.3", "Message size exceeds limits")),
    ("recipient-unknown", smtp("550", "5.1.1", "User unknown", Step.RECIPIENT)),
    ("recipient-unknown", smtp("550", "5.1.10", "RESOLVER.ADR.RecipientNotFound; Recipient not found", Step.RECIPIENT)),
    ("recipient-domain-unknown", smtp("550", "5.1.2", "Host unknown", Step.RECIPIENT)),
    ("recipient-domain-unknown", smtp("554", "5.4.4", "Unrouteable address", Step.RECIPIENT)),
    ("recipient-malformed", smtp("501", "5.1.3", "Invalid address", Step.RECIPIENT)),
    ("recipient-full", smtp("552", "5.2.2", "Mailbox full", Step.RECIPIENT)),
    ("recipient-full", smtp("452", "4.2.2", "Mailbox full", Step.RECIPIENT)),
    ("too-many-recipients", smtp("452", "4.5.3", "Too many recipients", Step.RECIPIENT)),
    ("too-many-recipients", smtp("550", "5.5.3", "RESOLVER.ADR.RecipLimit; too many recipients")),
    ("imap-sign-in-refused", imap("NO", "AUTHENTICATE failed.")),
    ("imap-not-connected", imap("BAD", "User is authenticated but not connected.", Step.FOLDER)),
    ("pop-sign-in-refused", pop("Authentication failure: unknown user name or bad password.")),
    ("session-token-expired", imap("BYE", "Session invalidated - AccessTokenExpired", Step.READ)),
    ("imap-throttled", imap("BAD", "Request is throttled. Suggested Backoff Time: 92415 milliseconds", Step.READ)),
    ("imap-throttled", imap("NO", "Request is throttled. Suggested Backoff Time: 1 milliseconds", Step.READ)),
    ("imap-unavailable", imap("NO", "Server Unavailable. 15", Step.READ)),
    ("imap-unavailable", imap("BYE", "Connection closed. 14", Step.READ)),
    ("password-refused", imap("NO", "[AUTHENTICATIONFAILED] Authentication failed.")),
    ("password-refused", imap("NO", "LOGIN failed.")),
    ("password-refused", pop("[AUTH] Authentication failed.")),
    ("folder-missing", imap("NO", "[NONEXISTENT] Unknown Mailbox: Requests (Failure)", Step.FOLDER)),
    ("folder-missing", imap("NO", "Mailbox doesn't exist: Requests", Step.FOLDER)),
    ("folder-missing", imap("NO", "The requested folder doesn't exist.", Step.FOLDER)),
    ("folder-missing", imap("NO", "The requested folder could not be found.", Step.FOLDER)),
    ("not-arrived", imap("not-arrived", "the message was sent, but did not appear in INBOX", Step.READ)),
    (
        "graph-send-as-denied",
        graph(
            "ErrorSendAsDenied", "The user account which was used to submit this request does not have the right", 403
        ),
    ),
    ("graph-access-denied", graph("ErrorAccessDenied", "Access is denied. Check credentials and try again.", 403)),
    ("graph-access-policy", graph("ErrorAccessDenied", "Access to OData is disabled.", 403)),
    ("graph-directory-denied", graph("Authorization_RequestDenied", "Insufficient privileges to complete", 403)),
    ("wrong-audience", graph("InvalidAuthenticationToken", "Access token validation failure. Invalid audience.", 401)),
    (
        "graph-token-refused",
        graph("InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.", 401),
    ),
    ("graph-no-mailbox", graph("MailboxNotEnabledForRESTAPI", "The mailbox is either inactive, soft-deleted, or", 404)),
    ("graph-user-unknown", graph("ErrorInvalidUser", "The requested user 'x' is invalid.", 404)),
    ("graph-user-unknown", graph("Request_ResourceNotFound", "Resource 'x' does not exist", 404)),
    ("graph-item-missing", graph("ErrorItemNotFound", "The specified object was not found in the store.", 404)),
    ("graph-mailbox-full", graph("ErrorQuotaExceeded", "The mailbox is full", 507)),
    ("graph-throttled", graph("ApplicationThrottled", "Application is over its MailboxConcurrency limit.", 429)),
    ("graph-throttled", graph("TooManyRequests", "Too many requests", 429)),
    ("graph-unavailable", graph("ServiceUnavailable", "Service unavailable", 503)),
    ("graph-unavailable", graph("UnknownError", "", 500)),
    ("graph-unavailable", graph("UnknownError", "", 504)),
    (
        "graph-mime-invalid",
        graph("ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.", 400),
    ),
    ("graph-request-refused", graph("RequestBodyRead", "Unable to read JSON request payload.", 400)),
    ("graph-routing-hint", graph("ErrorIncorrectRoutingHint", "", 400)),
    ("graph-sync-lost", graph("syncStateNotFound", "The sync state generation is not found", 410)),
    ("graph-sync-lost", graph("resyncRequired", "Resync required", 410)),
    ("graph-too-large", graph("RequestEntityTooLarge", "", 413)),
    ("graph-too-large", graph("ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.", 400)),
    (
        "certificate-file",
        net("certificate", "cannot read the certificate authorities in /x: No such file or directory"),
    ),
    ("tls-plain-answer", net("tls", "x port 587: TLS was expected, but the server answered in plain text")),
    ("tls-not-offered", net("tls", "x port 110 does not offer STLS")),
    (
        "tls-switched-off",
        net("tls", "the connection is not protected, so nobody signs in over it; choose TLS or STARTTLS"),
    ),
    (
        "entra-tenant-unknown",
        entra(9001023, "The grant type is not supported over the /common", "invalid_request", 400),
    ),
    ("entra-assertion-invalid", entra(700021)),
    ("entra-assertion-invalid", entra(700023)),
    ("entra-federation-unmatched", entra(70025)),
    ("smtp-too-fast", smtp("432", "4.3.2", "STOREDRV.ClientSubmit; message rate limit exceeded")),
    ("smtp-characters-not-taken", smtp("553", "5.6.7", "an address of the envelope is not ASCII", Step.SENDER)),
    ("smtp-characters-not-taken", smtp("554", "5.6.3", "the message has 8-bit text, and the server has no 8BITMIME")),
    ("session-token-expired", smtp("421", "4.7.0", "Session invalidated - AccessTokenExpired", Step.SENDER)),
    ("message-gone", imap("NO", "the folder INBOX has no message with UID 7 any more", Step.READ)),
    (
        "graph-daily-quota",
        graph("ErrorSubmissionQuotaExceeded", "The account submission quota has been exceeded.", 429),
    ),
    ("graph-recipient-invalid", graph("ErrorInvalidRecipients", "At least one recipient is not valid., x", 400)),
    ("graph-request-refused", graph("BadRequest", "Resource not found for the segment 'x'.", 400)),
    ("graph-too-large", graph("BadRequest", "The maximum request length supported is 4MB.", 413)),
    ("graph-item-missing", graph("ErrorInvalidIdMalformed", "Id is malformed.", 400)),
    ("graph-sync-lost", graph("SyncStateNotFound", "The sync state generation is not found; generation=1", 410)),
    ("unknown", smtp("550", "5.9.9", "Computer says no")),
]


@pytest.mark.parametrize(("row", "answer"), SAID, ids=lambda value: value if isinstance(value, str) else "")
def test_each_answer_fits_its_own_row_and_no_other(row, answer):
    fitting = [one.id for one in faults().values() if one.fits(answer)]
    assert fitting == ([row] if row != "unknown" else [])
    assert find(answer).id == row


def test_every_row_that_matches_is_in_the_table():
    assert {row.id for row in faults().values() if row.matches} == {row for row, _ in SAID} - {"unknown"}


@pytest.mark.parametrize("step", list(Step))
def test_the_enhanced_code_is_found_where_a_transport_left_it_in_the_text(step):
    answer = Answer(Service.SMTP, step, "535", f"5.7.3 Authentication unsuccessful {STAMP}")
    assert find(answer).id == "smtp-sign-in-refused"


@pytest.mark.parametrize("row", faults().values(), ids=lambda row: row.id)
def test_each_row_tells_cause_fix_class_and_source(row):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.id)
    assert row.cause.endswith((".", "{answer}"))
    assert row.fix.endswith(".")
    assert row.source
    assert row.link.startswith(("https://", "http://go.microsoft.com/")) or not row.link
    assert (row.kind is None) == (row.id == "unknown")
    assert row.services or row.id == "unknown"
    whole = " ".join((row.cause, row.fix, row.command, *row.also))
    assert whole.isascii(), "a dash or quote that is no ASCII breaks a pasted command"
    placeholders = {"mailbox", "sender", "tenant", "client_id", "service_principal_id", "object_id", "role", "answer"}
    assert set(re.findall(r"\{(\w+)\}", whole)) <= placeholders


def test_no_command_has_the_wrong_application_as_trustee_or_a_made_up_id():
    commands = " ".join(row.command for row in faults().values())
    assert "-ObjectId {object_id}" not in commands
    assert set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", commands)) <= {
        application_id("exchange"),
        application_id("graph"),
    }


def test_traps():
    """Codes that say one thing and mean another."""
    assert fault("smtp-mailbox-logon").kind is Kind.PERMISSION  # 430, "transient exception"
    assert fault("smtp-daily-quota").kind is Kind.THROTTLED  # 554, rolling 24 hours
    assert fault("smtp-too-many-connections").kind is Kind.THROTTLED
    assert fault("imap-not-connected").kind is Kind.TRANSIENT  # BAD, but may be the number of connections
    assert fault("no-longer-in-the-catalogue").id == "unknown"


texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=200)


@given(
    st.builds(
        Answer,
        service=st.sampled_from(Service),
        step=st.sampled_from(Step),
        code=st.one_of(texts, st.sampled_from(["535", "430", "NO", "BAD", "-ERR", "ErrorAccessDenied"])),
        text=texts,
        enhanced=texts,
        status=st.integers(0, 999),
    )
)
def test_any_answer_is_explained_and_what_is_unknown_is_told_verbatim(answer):
    diagnosis = explain(answer)
    assert isinstance(diagnosis.kind, Kind)
    assert diagnosis.fault.id != "unknown" or (answer.text in diagnosis.cause and answer.code in diagnosis.cause)


def test_the_page_of_known_failures_is_current():
    """Make it with: python -m postroom.microsoft.catalogue > docs/errors.md"""
    assert (ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == as_markdown()
