"""Blocking HTTP requests to our own servers on loopback, for readiness probes and for seeding Keystone.

They ignore any proxy that the environment names.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

_PROBE_TIMEOUT_SECONDS = 1.0
_CALL_TIMEOUT_SECONDS = 30.0
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> bool:
    """Whether the server responds to a GET with a status below 500."""
    try:
        with _opener.open(url, timeout=_PROBE_TIMEOUT_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def call_json(
    method: str,
    url: str,
    body: Mapping[str, Any] | None = None,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Sends JSON and returns (JSON, headers). Raises urllib.error.HTTPError for a status of 400 or above."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    if token is not None:
        sent["X-Auth-Token"] = token
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=sent, method=method)  # noqa: S310 -- http:// to loopback
    with _opener.open(request, timeout=_CALL_TIMEOUT_SECONDS) as response:
        raw = response.read()
        return (json.loads(raw) if raw else {}), dict(response.headers)
