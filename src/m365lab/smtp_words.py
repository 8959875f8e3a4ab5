"""What Exchange Online's submission server says, word for word where the words are known.

Each line carries the confidence of its source (facts 1.5 and 5): [D] documented, [C] seen in code or a log, [I] read
in an issue, [U] not verified. `INSTEAD` gives Exchange's words for what aiosmtpd says by itself.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from m365lab.post import HOST

FRONT = "AM0PR01CA0001.outlook.office365.com"
"""The name in the greeting."""

NOT_SIGNED_IN = "530 5.7.57 Client not authenticated to send mail"  # [I]
BAD_XOAUTH2 = "501 5.5.124 Invalid XOAUTH2 auth data"  # [I], seen from smtp-hve.office365.com
SIGNED_IN = "235 2.7.0 Authentication successful"  # [D]
BASIC_RETIRED = "550 5.7.30 Basic authentication is not supported for Client Submission."  # [D]
SENDER_OK = "250 2.1.0 Sender OK"  # [I]
RECIPIENT_OK = "250 2.1.5 Recipient OK"  # [U]
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients"  # [U]
THREADS = f"432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname={HOST}]"  # [D]
TOO_FAST = "432 4.3.2 STOREDRV.ClientSubmit; message rate limit exceeded"  # [U]: Exchange delays, it does not refuse
EXPIRED = "421 4.7.0 Session invalidated - AccessTokenExpired"  # [U]: modelled on IMAP's BYE [I]
TOO_LARGE = "552 5.3.4 Message size exceeds fixed maximum message size"  # [U]
NO_RIGHT = (  # [I]
    "430 4.2.0 STOREDRV; mailbox logon failure; "
    "STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed; Failed to process "
    f"message due to a transient exception with message Cannot open mailbox. Server = {HOST} [Hostname={HOST}]"
)
QUOTA = (  # [I]
    "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message due to a "
    "permanent exception with message The message can't be submitted because the sender's submission quota was "
    f"exceeded. [Hostname={HOST}]"
)
OUTBOUND_SPAM = (  # [I]
    "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Failed to process message due to a permanent "
    "exception with message WASCL UserAction verdict is not None. Actual verdict is RefuseQuota, ShowTierUpgrade. "
    f"OutboundSpamException: WASCL UserAction verdict is not None. [Hostname={HOST}]"
)
FULL = (  # [I]
    "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; "
    f"Failed to process message due to a permanent exception with message Cannot submit message. [Hostname={HOST}]"
)

UNKNOWN_COMMAND = "500 5.3.3 Unrecognized command"  # [U]

INSTEAD = {
    "220 Ready to start TLS": "220 2.0.0 SMTP server ready",  # [C]
    "250 OK": "250 2.0.0 OK",
    "221 Bye": "221 2.0.0 Service closing transmission channel",
    "354 End data with <CR><LF>.<CR><LF>": "354 Start mail input; end with <CRLF>.<CRLF>",
    "252 Cannot VRFY user, but will accept message and attempt delivery": "252 2.1.5 Cannot VRFY user",
    "500 Error: bad syntax": UNKNOWN_COMMAND,
    "503 Error: send HELO first": "503 5.5.2 Send hello first",
    "503 Error: send EHLO first": "503 5.5.2 Send hello first",
    "503 Error: nested MAIL command": "503 5.5.2 Sender already specified",
    "503 Error: need MAIL command": "503 5.5.2 Need mail command",
    "503 Error: need RCPT command": "503 5.5.2 Need rcpt command",
    "503 Already authenticated": "503 5.5.2 Already authenticated",
    "504 5.5.4 Unrecognized authentication type": "504 5.7.4 Unrecognized authentication type",
    "552 Error: message size exceeds fixed maximum message size": TOO_LARGE,
    "552 Error: Too much mail data": TOO_LARGE,
}


def instead_of(status: str) -> str:
    """Exchange's words for a reply of aiosmtpd's. An unknown command is not repeated: it may hold line feeds."""
    return UNKNOWN_COMMAND if status.startswith('500 Error: command "') else INSTEAD.get(status, status)


def basic_disabled(now: datetime) -> str:
    """[I]: a password was used."""
    return f"535 5.7.139 Authentication unsuccessful, basic authentication is disabled. {_stamp(now)}"


def sign_in_failed(now: datetime) -> str:
    """[D]: the one vague answer for a bad token, a missing role, an unknown service principal or mailbox."""
    return f"535 5.7.3 Authentication unsuccessful {_stamp(now)}"


def switched_off(where: str, now: datetime) -> str:
    """[I]: `where` is "Tenant" or "Mailbox"."""
    return (
        f"535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the {where}. "
        f"Visit https://aka.ms/smtp_auth_disabled for more information. {_stamp(now)}"
    )


def send_as_denied(sentence: str) -> str:
    """[I]: `sentence` is "a@x not allowed to send as b@y"."""
    return (
        f"554 5.2.252 SendAsDenied; {sentence}; "
        "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due "
        "to a permanent exception with message [BeginDiagnosticData]Cannot submit message. "
        f"0.35250:0A000130[EndDiagnosticData] [Hostname={HOST}]"
    )


def taken(message_id: str) -> str:
    """[I], exact form [U]: the Message-ID is the one that Exchange gave."""
    return f"250 2.0.0 OK {message_id} [Hostname={HOST}]"


def _stamp(now: datetime) -> str:
    return f"[{FRONT} {now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z {secrets.token_hex(8).upper()}]"
