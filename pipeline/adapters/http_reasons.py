"""Why an HTTP request got no usable response, in words for a person. Only for errors of aiohttp's client.

Guarantee: the text mentions TLS only where TLS is what failed; aiohttp's own text says `ssl:default` about plain HTTP.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from typing import Final

import aiohttp

_TLS_SETTING: Final = re.compile(r" ssl:.*? (?=\[)")


def client_error_text(error: BaseException) -> str:
    """aiohttp's own text, which names the host and port; the name of the error's class where there is none."""
    return _TLS_SETTING.sub(" ", str(error), count=1) or type(error).__name__


def connection_reason(error: BaseException) -> str:
    """One line such as "Connection refused", without names of Python classes, for a sentence that names the server."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            detail = error.certificate_error
            return f"its TLS certificate is not accepted ({getattr(detail, 'verify_message', '') or _line(detail)})"
        case aiohttp.ClientConnectorSSLError():
            return _tls_reason(error.os_error)
        case aiohttp.ClientConnectorDNSError():
            return f"the host name {error.host} cannot be resolved ({error.os_error.strerror or _line(error.os_error)})"
        case aiohttp.ClientConnectorError():
            return _os_reason(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before a response arrived"
        case aiohttp.ClientPayloadError():
            return "the response was cut off or is damaged"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy responded {error.status}"
        case aiohttp.ClientResponseError():
            return "the response is not valid HTTP"
        case aiohttp.InvalidURL():
            return "the URL is invalid"
        case TimeoutError():
            return "no response arrived in time"
        case OSError():
            return _os_reason(error)
        case UnicodeError():
            return "the host name is invalid"
    return _line(error) or "the connection failed"


def _os_reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return error.strerror or _line(error)
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio's own text repeats the address
    return _line(error) or "the connection failed"


def _tls_reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "it does not use TLS; try a URL that begins with http://"
    reason = getattr(error, "reason", None)
    return f"the TLS handshake failed ({reason.replace('_', ' ').lower() if reason else _os_reason(error)})"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
