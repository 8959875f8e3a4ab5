"""Why a conversation did not come about: from the exceptions of sockets, TLS, urllib3 and azure-core to one word."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

import urllib3.exceptions

_TIMEOUTS = (TimeoutError, urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.ReadTimeoutError)


def network_code(error: BaseException) -> str:
    """The `code` of a `Service.NETWORK` answer; "lost" when nothing in the exception's chain tells more."""
    chain = list(causes(error))
    if any(isinstance(one, urllib3.exceptions.ProxyError) or type(one).__module__ == "socks" for one in chain):
        return "proxy"
    for kinds, code in (
        ((socket.gaierror, urllib3.exceptions.NameResolutionError), "resolve"),
        ((ssl.SSLCertVerificationError,), "certificate"),
        ((ssl.SSLError, urllib3.exceptions.SSLError), "tls"),
        ((ConnectionRefusedError,), "refused"),
        (_TIMEOUTS, "timeout"),
    ):
        if any(isinstance(one, kinds) for one in chain):
            return code
    # requests says so when the CA file is not there.
    return "certificate" if any("CA certificate bundle" in str(one) for one in chain) else "lost"


def reason(error: BaseException) -> str:
    """The innermost cause in words, on one line; never with the password of a proxy's address."""
    innermost = list(causes(error))[-1]
    text = " ".join(str(innermost).split()) or type(innermost).__name__
    return re.sub(r"//[^/@\s]*@", "//", text)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it came from: chained, or carried along as urllib3 and azure-core do."""
    queue, seen = [error], set[int]()
    while queue:
        one = queue.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        carried = [getattr(one, name, None) for name in ("__cause__", "__context__", "reason", "inner_exception")]
        queue += [other for other in (*carried, *one.args) if isinstance(other, BaseException)]
