"""The one place that opens a connection to an endpoint, and that turns network errors into answers.

Resolve, connect (through an HTTP CONNECT or SOCKS proxy where one is set), TLS 1.2 or newer with the system's
authorities or the endpoint's own. Every protocol starts from here, the asynchronous and the blocking ones.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from python_socks import ProxyError
from python_socks.async_.asyncio import Proxy

from postroom.microsoft.answers import Answer, Refused, Service, Step
from postroom.transports.base import Anonymous, Endpoint, Observer, Security, SignIn, nobody

_EARLY = (Step.RESOLVE, Step.CONNECT, Step.TLS)
# OpenSSL's words for bytes that are no TLS record: a greeting in plain text.
_PLAIN_ANSWER = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER")


async def connect(endpoint: Endpoint, observer: Observer = nobody) -> socket.socket:
    """A connected TCP socket, not blocking, without TLS as yet. Raises `Refused`."""
    try:
        async with asyncio.timeout(endpoint.timeout):
            if endpoint.proxy:
                return await _through_proxy(endpoint, observer)
            return await _straight(endpoint, observer)
    except (OSError, ProxyError, ValueError) as error:
        raise Refused(failure(error, Step.CONNECT, endpoint)) from error


async def _straight(endpoint: Endpoint, observer: Observer) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Refused(failure(error, Step.RESOLVE, endpoint)) from error
    observer(Step.RESOLVE, ", ".join(dict.fromkeys(str(address[0]) for *_, address in found)))
    last: OSError = OSError(f"{endpoint.host} has no address")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            observer(Step.CONNECT, f"{address[0]} port {endpoint.port}")
            return sock
    raise last


async def _through_proxy(endpoint: Endpoint, observer: Observer) -> socket.socket:
    shown = without_password(endpoint.proxy)
    proxy = Proxy.from_url(endpoint.proxy)
    sock = await proxy.connect(endpoint.host, endpoint.port, timeout=endpoint.timeout)
    observer(Step.RESOLVE, f"{endpoint.host} by the proxy {shown}")
    observer(Step.CONNECT, f"{endpoint.host} port {endpoint.port} through {shown}")
    return sock


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """For a client: certificate and name are checked, TLS 1.2 is the oldest (RFC 8996). Raises `Refused`."""
    try:
        context = ssl.create_default_context(cafile=endpoint.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        text = f"cannot read the certificate authorities in {endpoint.ca_file}: {error}"
        raise Refused(Answer(Service.NETWORK, Step.TLS, "certificate", text)) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def secure(sock: socket.socket, endpoint: Endpoint, observer: Observer = nobody) -> ssl.SSLSocket:
    """TLS over a blocking socket, which stays the caller's to close on failure. Raises `Refused`."""
    try:
        wrapped = tls_context(endpoint).wrap_socket(sock, server_hostname=endpoint.host)
    except (OSError, ValueError) as error:
        raise Refused(failure(error, Step.TLS, endpoint)) from error
    observer(Step.TLS, describe_tls(wrapped))
    return wrapped


def describe_tls(connection: Any) -> str:
    """For people: version, whose certificate, by whom, until when. `connection` is an SSLSocket or SSLObject."""
    certificate = connection.getpeercert() or {}
    subject, issuer = (_common_name(certificate.get(key, ())) for key in ("subject", "issuer"))
    names = ", ".join(value for _, value in certificate.get("subjectAltName", ())[:3])
    until = certificate.get("notAfter", "?")
    return (
        f"{connection.version()}, certificate of {subject or names}"
        f"{f' ({names})' if subject and names else ''}, issued by {issuer}, valid until {until}"
    )


def _common_name(name: Any) -> str:
    found = {key: value for group in name for key, value in group}
    return str(found.get("commonName") or found.get("organizationName") or "")


def failure(error: BaseException, step: Step, endpoint: Endpoint) -> Answer:
    """What an error of sockets, TLS or proxy means.

    Libraries wrap the one error that tells, and tell "connection lost" of everything: the first other meaning counts.
    """
    where = f"{endpoint.host} port {endpoint.port}"
    found = [meaning for cause in _causes(error) if (meaning := _meaning(cause, step, endpoint, where))]
    lost = Answer(Service.NETWORK, step, "lost", f"{where}: {_words(error)}")
    return next((meaning for meaning in found if meaning.code != "lost"), found[-1] if found else lost)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        yield cause
        cause = cause.__cause__ or cause.__context__


def _meaning(error: BaseException, step: Step, endpoint: Endpoint, where: str) -> Answer | None:
    match error:
        case socket.gaierror() | UnicodeError():
            step = Step.RESOLVE
            code, text = "resolve", f"{endpoint.host}: {_words(error)}"
        case ssl.SSLCertVerificationError():
            step = Step.TLS
            code, text = "certificate", f"{where}: {error.verify_message}"
        case ssl.SSLError() if any(word in str(error).upper() for word in _PLAIN_ANSWER):
            step = Step.TLS
            code, text = "tls", f"{where}: TLS was expected, but the server answered in plain text"
        case ssl.SSLError():
            code, text = ("tls" if step in _EARLY else "lost"), f"{where}: {_words(error)}"
        case ProxyError() | ValueError() if endpoint.proxy:
            code, text = "proxy", f"{without_password(endpoint.proxy)}: {_words(error)}"
        case ConnectionRefusedError():
            code, text = "refused", f"{where}: connection refused"
        case TimeoutError():
            code, text = "timeout", f"{where}: no answer within {endpoint.timeout:g} seconds{_silence(step, endpoint)}"
        case ConnectionError() | EOFError():
            code, text = "lost", f"{where}: {_words(error)}"
        case OSError() if step in (Step.RESOLVE, Step.CONNECT):
            code, text = "refused", f"{where}: {_words(error)}"
        case _:
            return None
    if endpoint.proxy and code in {"resolve", "refused", "timeout"} and step in _EARLY and step is not Step.TLS:
        code, text = "proxy", f"{without_password(endpoint.proxy)}: {_words(error)}"
    return Answer(Service.NETWORK, step, code, text)


def _silence(step: Step, endpoint: Endpoint) -> str:
    if step is Step.CONNECT and endpoint.security is not Security.TLS:
        return "; a server that expects TLS from the first byte (ports 465, 993, 995) stays silent like this"
    return ""


def _words(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    return " ".join(str(strerror or error or type(error).__name__).split())


def without_password(url: str) -> str:
    """The proxy's address as it may be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def refuse_in_the_clear(endpoint: Endpoint, sign_in: SignIn, protected: bool) -> None:
    """Raises `Refused` before a password or token would cross a network unprotected (RFC 8314 section 3)."""
    if protected or isinstance(sign_in, Anonymous) or (is_loopback(endpoint.host) and not endpoint.proxy):
        return
    text = (
        f"{endpoint.host} port {endpoint.port}: the connection is not protected, so nobody signs in over it;"
        " choose TLS or STARTTLS"
    )
    raise Refused(Answer(Service.NETWORK, Step.TLS, "tls", text))


def is_loopback(host: str) -> bool:
    """Whether the packets stay on this machine, whatever the name service says."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
