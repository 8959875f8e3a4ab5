"""One token request to Entra through azure-identity, and its failure as an `Answer`.

The credential object is made anew for each request: it keeps a cache of its own, which would answer instead of Entra
when a token is asked for again on purpose. The cache is `tokens.TokenSource`.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    CredentialUnavailableError,
    ManagedIdentityCredential,
)

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.microsoft.claims import AccessToken, Claims
from postroom.microsoft.identity import (
    ApplicationIdentity,
    Certificate,
    ClientSecret,
    CredentialSecret,
    FederatedFile,
    ManagedIdentity,
)
from postroom.microsoft.network import causes, network_code, reason

_NO_ANSWER = (ServiceRequestError, ServiceResponseError, OSError)
_TIMEOUT = 20.0
"""Seconds to connect to Entra, and again for its answer."""
_AADSTS = re.compile(r"AADSTS\d+")
_TRAILER = re.compile(r"\s*(Trace ID|Correlation ID|Timestamp): .*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Said:
    """An HTTP answer on the way to a token; the body only of a refusal, since any other may hold the token."""

    status: int
    body: str
    headers: dict[str, str]

    @classmethod
    def of(cls, response: Any) -> _Said:
        status = int(response.status_code)
        return cls(status, response.text() if status >= 400 else "", dict(response.headers))


class _Unusable(Exception):
    """Our own credential cannot be read; Entra was not asked with it."""


def ask(identity: ApplicationIdentity, credential: CredentialSecret, resource: str) -> AccessToken:
    """Asks for a token of `{resource}/.default` (facts 1.2). Raises `Refused`."""
    answers: list[_Said] = []  # msal does not always hand them on with its exceptions
    try:
        with _credential(identity, credential, answers) as proof:
            token = proof.get_token(f"{resource}/.default")
    except _Unusable as error:
        raise Refused(_of_credential(str(error))) from error
    except CredentialUnavailableError as error:
        raise Refused(_of_credential(f"no managed identity here: {_first_line(error)}")) from error
    except (AzureError, OSError) as error:
        raise Refused(_answer(identity, error, answers)) from error
    except (ValueError, TypeError) as error:
        raise Refused(_of_credential(f"azure-identity refuses it: {_first_line(error)}")) from error
    return AccessToken(value=token.token, expires_at=float(token.expires_on), claims=_claims(token.token))


@contextlib.contextmanager
def _credential(identity: ApplicationIdentity, secret: CredentialSecret, answers: list[_Said]) -> Iterator[Any]:
    """azure-identity's credential for this secret, on a connection that trusts and goes where the cloud says."""
    with _session(identity) as session:
        options: dict[str, Any] = {
            "authority": identity.cloud.authority,
            "disable_instance_discovery": True,  # it would ask login.microsoft.com about every other cloud
            "transport": _transport(identity, session),
            "retry_total": 0,  # a transient answer comes back to us, who know how long to wait
            "raw_response_hook": lambda response: answers.append(_Said.of(response.http_response)),
        }
        match secret:
            case ClientSecret():
                yield ClientSecretCredential(identity.tenant, identity.client_id, secret.value, **options)
            case Certificate():
                yield _certificate_credential(identity, secret, options)
            case FederatedFile() | ManagedIdentity():
                yield ClientAssertionCredential(
                    identity.tenant, identity.client_id, lambda: _assertion(identity, secret), **options
                )


def _session(identity: ApplicationIdentity) -> requests.Session:
    """REQUESTS_CA_BUNDLE and HTTPS_PROXY of the environment must not override what the cloud and the mailbox say."""
    session = requests.Session()
    session.trust_env = False
    if identity.proxy:
        # The far side resolves names, as for mail: `socks5h` is how requests says so.
        proxy = re.sub(r"^socks5://", "socks5h://", re.sub(r"^socks4://", "socks4a://", identity.proxy))
        session.proxies = {"https": proxy, "http": proxy}
    return session


def _transport(identity: ApplicationIdentity, session: requests.Session) -> RequestsTransport:
    return RequestsTransport(
        session=session,
        session_owner=False,
        connection_timeout=_TIMEOUT,
        read_timeout=_TIMEOUT,
        connection_verify=identity.cloud.ca_file or True,
    )


def _certificate_credential(
    identity: ApplicationIdentity, secret: Certificate, options: dict[str, Any]
) -> CertificateCredential:
    try:
        return CertificateCredential(
            identity.tenant,
            identity.client_id,
            certificate_data=secret.pem_with_key.encode(),
            password=secret.password or None,
            **options,
        )
    except (ValueError, TypeError) as error:
        raise _Unusable(f"the certificate cannot be used: {_first_line(error)}") from error


def _assertion(identity: ApplicationIdentity, secret: FederatedFile | ManagedIdentity) -> str:
    """The other issuer's token, which Entra takes in place of a secret (RFC 7523)."""
    if isinstance(secret, ManagedIdentity):
        # The address of the managed identity is the machine's own: no proxy, no authority of ours.
        with ManagedIdentityCredential(client_id=secret.client_id) as managed:
            return str(managed.get_token(f"{identity.cloud.federation_audience}/.default").token)
    try:
        text = Path(secret.path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise _Unusable(f"the token file {secret.path} cannot be read: {_first_line(error)}") from error
    if not text:
        raise _Unusable(f"the token file {secret.path} is empty")
    return text


def _answer(identity: ApplicationIdentity, error: Exception, answers: list[_Said]) -> Answer:
    """What Entra said, or why it said nothing, or what is wrong with what we have."""
    last = answers[-1] if answers else None
    if last is not None and last.status >= 400:
        return answer_of(last.status, last.body, last.headers)
    if any(isinstance(one, _NO_ANSWER) for one in causes(error)):
        host = urlsplit(identity.cloud.authority).netloc
        return Answer(Service.NETWORK, Step.TOKEN, network_code(error), f"{host}: {reason(error)}")
    if last is not None:
        text = "the answer is not a token; a proxy or sign-in page may stand between here and Entra"
        return Answer(Service.ENTRA, Step.TOKEN, f"HTTP{last.status}", text, status=last.status)
    return _of_credential(_first_line(error))


@dataclass(frozen=True, slots=True)
class _Body:
    """The fields of Entra's error JSON that matter (facts 1.1)."""

    error: str = ""
    description: str = ""
    trace_id: str = ""
    codes: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> _Body:
        try:
            data = json.loads(text)
        except ValueError:
            return cls(description=text)
        if not isinstance(data, dict):
            return cls(description=text)
        codes = data.get("error_codes")
        return cls(
            error=str(data.get("error") or ""),
            description=str(data.get("error_description") or data.get("error") or ""),
            trace_id=str(data.get("trace_id") or ""),
            codes=tuple(str(code) for code in codes) if isinstance(codes, list) else (),
        )


def answer_of(status: int, body: str, headers: dict[str, str]) -> Answer:
    """Entra's HTTP answer as ours. The code is the AADSTS number, or `HTTP503` and the like where there is none."""
    read = _Body.of(body)
    in_text = _AADSTS.search(read.description)
    code = in_text.group() if in_text else f"AADSTS{read.codes[0]}" if read.codes else f"HTTP{status}"
    lower = {name.lower(): value for name, value in headers.items()}
    return Answer(
        service=Service.ENTRA,
        step=Step.TOKEN,
        code=code,
        text=" ".join(_TRAILER.sub("", read.description).split())[:2000],
        enhanced=read.error,
        status=status,
        retry_after=_seconds(lower.get("retry-after", "")),
        request_id=read.trace_id or lower.get("x-ms-request-id", ""),
    )


def _seconds(header: str) -> float | None:
    """Retry-After as seconds; Entra does not send the date form (RFC 9110 section 10.2.3)."""
    return float(header) if header.strip().isascii() and header.strip().isdigit() else None


def _of_credential(text: str) -> Answer:
    return Answer(Service.ENTRA, Step.TOKEN, "credential", text)


def _claims(token: str) -> Claims:
    try:
        return Claims.of(token)
    except ValueError:
        return Claims()  # a resource may have opaque tokens; it alone judges them


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
