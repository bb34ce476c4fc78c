"""The curl command of each route, as /openapi.json (`x-codeSamples`) and /docs show it.

Guarantee: a command runs as it is in a shell that has set the variables it names: `SLUICE_SERVER` (the gateway's URL)
and `SLUICE_KEY` (an API key), as for the command line, `ID` (of an upload or a content), `WEBHOOK` (the id of a
webhook), and `SLUICE_EVENTS_TOKEN` for the route of object stores. A test runs every command.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from gateway.access import STORE
from gateway.example_bodies import example_of
from gateway.routing import JSON, Route

_EXAMPLE_KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"
_COMPACT_CHARACTERS = 72
_IN_PATH = {"number": "1", "stage": "thumbnail", "name": "sluice-client.js"}  # others are variables


def curl_line(route: Route) -> str:
    """One command, one option a line."""
    return " \\\n  ".join([f"curl {_transfer(route)}{_url(route)}", *_options(route)])


def _transfer(route: Route) -> str:
    """Method, and how bytes are sent or received."""
    if route.raw_body and route.method != "POST":
        return "-T segment.bin " if route.method == "PUT" else f"-X {route.method} -T segment.bin "
    if any(response.media_type == "text/event-stream" for response in route.responses):
        return "-N "
    if any(response.status == 302 for response in route.responses):
        return "-fL -OJ "  # -f: an error is no file
    if route.method == "GET" or (route.method == "POST" and route.body is not None):
        return ""
    return f"-X {route.method} "


def _url(route: Route) -> str:
    path = re.sub(r"{(\w+)}", lambda found: _IN_PATH.get(found[1], f"${found[1].upper()}"), route.path)
    example = example_of(route.query) if route.query else None
    return f'"$SLUICE_SERVER{path}{f"?{urlencode(example)}" if example else ""}"'


def _options(route: Route) -> Iterator[str]:
    if route.access is STORE:
        yield '-H "Authorization: Bearer $SLUICE_EVENTS_TOKEN"'
    elif not route.access.anyone:
        yield '-H "Authorization: Bearer $SLUICE_KEY"'
    if route.body is not None and any(header.name == "Idempotency-Key" for header in route.request_headers):
        yield f'-H "Idempotency-Key: {_EXAMPLE_KEY}"'
    for header in route.request_headers:
        if header.value:
            yield f'-H "{header.name}: {header.value}"'
    if route.raw_body and route.method != "POST":
        yield f'-H "Content-Type: {route.raw_types[0]}"'
    if route.body is not None:
        yield f'-H "Content-Type: {JSON}"'
        yield f"-d {shlex.quote(_json(example_of(route.body) or {}))}"


def _json(body: Mapping[str, Any]) -> str:
    """One field a line, or a single line if that is short."""
    text = json.dumps(body, ensure_ascii=False)
    if len(text) <= _COMPACT_CHARACTERS:
        return text
    fields = (f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in body.items())
    return "{\n    " + ",\n    ".join(fields) + "\n  }"
