"""Graph's refusals: codes, HTTP statuses and words as Microsoft's service gives them.

Each function names one refusal, with the source of its words. The facts sections are those of the shared
microsoft-365.md; [D] documented, [I] read in a public issue, [U] unverified.
"""

from __future__ import annotations

from typing import Any

from m365lab.clock import Clock


class GraphError(Exception):
    """A refusal: turned into Graph's error body by `error_body`."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def error_body(error: GraphError, clock: Clock, request_id: str, client_request_id: str) -> dict[str, Any]:
    """The body of facts 3 [D]: only `code` is meant for programs."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "innerError": {
                "date": clock.now().strftime("%Y-%m-%dT%H:%M:%S"),
                "request-id": request_id,
                "client-request-id": client_request_id,
            },
        }
    }


def invalid_token(message: str) -> GraphError:
    """401 [I]: no token, or one that this resource does not take."""
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        'client_id="00000003-0000-0000-c000-000000000000"'
    )
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": challenge})


def access_denied() -> GraphError:
    """403: the token lacks the role (facts 5; text [I] msgraph-sdk-dotnet#425)."""
    return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def send_as_denied() -> GraphError:
    """403 [D], facts 5."""
    return GraphError(
        403,
        "ErrorSendAsDenied",
        "The user account which was used to submit this request does not have the right to send mail on behalf of "
        "the specified sending account. Cannot submit message.",
    )


def invalid_user(key: str) -> GraphError:
    """404: nobody of that id or name (text [I] microsoft-graph-docs#4097)."""
    return GraphError(404, "ErrorInvalidUser", f"The requested user '{key}' is invalid.")


def no_mailbox() -> GraphError:
    """404: a user without licence or mailbox (facts 5 [I])."""
    return GraphError(
        404,
        "MailboxNotEnabledForRESTAPI",
        "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
    )


def item_not_found() -> GraphError:
    """404 [U text]: no such message, folder or attachment."""
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def quota_exceeded() -> GraphError:
    """507 (facts 5; text [U])."""
    return GraphError(507, "ErrorQuotaExceeded", "The mailbox quota has been exceeded.")


def submission_quota() -> GraphError:
    """429 [U]: the mailbox reached its recipients of 24 hours."""
    return GraphError(429, "ErrorSubmissionQuotaExceeded", "The account submission quota has been exceeded.")


def bad_mime() -> GraphError:
    """400 [D], facts 3."""
    return GraphError(400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.")


def bad_body(message: str) -> GraphError:
    """400 for a body that is not the JSON asked for (facts 5 [I])."""
    return GraphError(400, "RequestBodyRead", message)


def bad_query(message: str) -> GraphError:
    """400 for a query option that is wrong, or that the lab does not imitate [I code]."""
    return GraphError(400, "RequestBroker--ParseUri", message)


def too_complex() -> GraphError:
    """400 [D list messages]: properties of $orderby must come first in $filter, in the same order."""
    return GraphError(400, "InefficientFilter", "The restriction or sort order is too complex for this operation.")


def invalid_request(message: str) -> GraphError:
    return GraphError(400, "ErrorInvalidRequest", message)


def invalid_recipients(detail: str) -> GraphError:
    """400 (text [I] msgraph-sdk-dotnet#1891)."""
    return GraphError(400, "ErrorInvalidRecipients", f"At least one recipient is not valid., {detail}")


def message_too_large() -> GraphError:
    """413 (code and text [I] microsoft-graph-docs#15579; status [U])."""
    return GraphError(413, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")


def request_too_large() -> GraphError:
    """413 above 4 MB (status [I] python-o365#308; text [I] microsoft-graph-docs#11806)."""
    return GraphError(413, "BadRequest", "The maximum request length supported is 4MB.")


def throttled(message: str, retry_after: int) -> GraphError:
    """429 with Retry-After (facts 3 and 5)."""
    return GraphError(429, "ApplicationThrottled", message, {"Retry-After": str(retry_after)})


def sync_state_not_found(resync_url: str) -> GraphError:
    """410: the delta token is unknown or too old; Location starts a full round (text [I] microsoft-graph-docs#2350)."""
    return GraphError(
        410,
        "SyncStateNotFound",
        "The sync state generation is not found; generation=1;[highest=2][2].",
        {"Location": resync_url},
    )


def not_a_resource(segment: str) -> GraphError:
    """400 [I]: a path that Graph, or the lab, does not have."""
    return GraphError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")
