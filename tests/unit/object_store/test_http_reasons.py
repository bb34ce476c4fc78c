"""Why a request got no response, in words for a person."""

from __future__ import annotations

import socket
import ssl
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from pipeline.adapters.http_reasons import client_error_text, connection_reason

pytestmark = pytest.mark.unit

KEY = ConnectionKey("host.example", 8080, False, True, None, None, None)
INFO = aiohttp.RequestInfo(URL("http://host.example"), "GET", Mock(), URL("http://host.example"))


def connector(error: OSError, kind: type[aiohttp.ClientConnectorError] = aiohttp.ClientConnectorError) -> Exception:
    return kind(KEY, error)


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(
        1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: expired (x.c:1)"
    )
    error.verify_message = "certificate has expired"
    return error


def tls_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] text (_ssl.c:1006)")
    error.reason = reason
    return error


CASES = [
    (connector(ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)")), "Connection refused"),
    (connector(OSError(113, "Connect call failed ('10.0.0.1', 9)")), "No route to host"),
    (
        connector(OSError("Multiple exceptions: [Errno 111] x, [Errno 113] y")),
        "Multiple exceptions: [Errno 111] x, [Errno 113] y",
    ),
    (
        connector(socket.gaierror(-2, "Name or service not known"), aiohttp.ClientConnectorDNSError),
        "the host name host.example cannot be resolved (Name or service not known)",
    ),
    (
        aiohttp.ClientConnectorCertificateError(KEY, certificate_error()),
        "its TLS certificate is not accepted (certificate has expired)",
    ),
    (
        connector(tls_error("WRONG_VERSION_NUMBER"), aiohttp.ClientConnectorSSLError),
        "it does not use TLS; try a URL that begins with http://",
    ),
    (
        connector(tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), aiohttp.ClientConnectorSSLError),
        "the TLS handshake failed (tlsv1 alert protocol version)",
    ),
    (aiohttp.ServerDisconnectedError(), "the connection was closed before a response arrived"),
    (aiohttp.ClientOSError(104, "Connection reset by peer"), "Connection reset by peer"),
    (aiohttp.ClientOSError(32, "Broken pipe"), "Broken pipe"),
    (aiohttp.ClientPayloadError("not completed: <ContentLengthError>"), "the response was cut off or is damaged"),
    (aiohttp.ClientHttpProxyError(INFO, (), status=407), "the proxy responded 407"),
    (aiohttp.ClientResponseError(INFO, (), message="Bad status line"), "the response is not valid HTTP"),
    (aiohttp.InvalidURL("http://["), "the URL is invalid"),
    (aiohttp.ServerTimeoutError("Timeout on reading data"), "no response arrived in time"),
    (TimeoutError(), "no response arrived in time"),
    (ConnectionResetError(104, "reset"), "Connection reset by peer"),
    (UnicodeError("label empty or too long"), "the host name is invalid"),
    (aiohttp.ClientConnectionError("Connector\nis closed"), "Connector is closed"),
    (aiohttp.ClientConnectionError(), "the connection failed"),
]


@pytest.mark.parametrize(("error", "reason"), CASES)
def test_each_error_has_a_reason_in_plain_words(error: Exception, reason: str) -> None:
    assert connection_reason(error) == reason


@pytest.mark.parametrize("error", [error for error, _ in CASES])
def test_no_text_names_a_tls_setting(error: Exception) -> None:
    assert "ssl:" not in client_error_text(error)
    assert "ssl:" not in connection_reason(error)


def test_the_text_for_logs_names_host_and_port() -> None:
    refused = connector(ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)"))
    assert client_error_text(refused) == (
        "Cannot connect to host host.example:8080 [Connect call failed ('127.0.0.1', 9)]"
    )
    assert client_error_text(TimeoutError()) == "TimeoutError"
