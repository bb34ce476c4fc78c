"""The reference of routes in docs/reference/http-api.md, from the route table and its models.

Guarantee: every route is listed with what it accepts and every response that it declares. It is the table that the
gateway serves, as /openapi.json and /docs are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from gateway.app import ALL_ROUTES
from gateway.curl_lines import curl_line
from gateway.openapi import build_document
from gateway.routing import Route


def route_reference(routes: Iterable[Route] = ALL_ROUTES) -> str:
    """A section for each tag, and in it one for each route, in Markdown."""
    table = tuple(routes)
    document = build_document(table)
    everywhere = _common(table)
    with_credential = _common(route for route in table if not route.access.anyone)
    lines = [
        f"Any route may respond with {_codes(everywhere)}. One that needs a credential may also respond with",
        f"{_codes(code for code in with_credential if code not in everywhere)}. The tables do not repeat these.",
        "",
    ]
    for tag in document["tags"]:
        lines += [f"## {tag['name']}", ""]
        for route in table:
            if route.tag == tag["name"]:
                operation = document["paths"][route.path][route.method.lower()]
                lines += _section(route, operation, document, everywhere if route.access.anyone else with_credential)
    return "\n".join(lines).rstrip()


def _common(routes: Iterable[Route]) -> list[str]:
    """The error codes of all these routes."""
    first, *others = (route.all_errors for route in routes)
    return [code for code in first if all(code in codes for codes in others)]


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)


def _section(
    route: Route, operation: Mapping[str, Any], document: Mapping[str, Any], left_out: Collection[str]
) -> Iterator[str]:
    yield from (f"### {route.method} {route.path}", f"**{route.summary}.** {linked(route.description)}", "")
    yield from (f"Access: {route.access.description}.", "")
    yield from ("```sh", curl_line(route), "```", "")
    parameters = [part for part in operation["parameters"] if part["name"] != "X-Request-Id"]
    if parameters:
        yield from ("| parameter | in | type | meaning |", "|---|---|---|---|")
        for part in parameters:
            schema = _type(part["schema"], document)
            yield f"| `{part['name']}` | {part['in']} | {schema} | {_cell(part.get('description', ''))} |"
        yield ""
    if route.body is not None:
        yield from _fields("Fields of the body", route.body.model_json_schema())
    elif route.raw_body:
        yield from (f"Body: {route.raw_body}", "")
    yield from _responses(route, left_out)


def _fields(title: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"| {title} | type | required | meaning |", "|---|---|---|---|")
    for name, part in schema["properties"].items():
        required = "yes" if name in schema.get("required", ()) else ""
        kind, meaning = _type(part, {"components": {"schemas": schema.get("$defs", {})}}), part.get("description", "")
        yield f"| `{name}` | {kind} | {required} | {_cell(meaning)} |"
    yield ""


def _responses(route: Route, left_out: Collection[str]) -> Iterator[str]:
    yield from ("| status | response |", "|---|---|")
    for response in route.responses:
        yield f"| {response.status} | {_cell(response.description)} |"
    by_status: dict[int, list[str]] = {}
    for code in route.all_errors:
        if code not in left_out:
            for status in route.error_form.statuses_of(code):
                by_status.setdefault(status, []).append(code)
    for status, codes in sorted(by_status.items()):
        yield f"| {status} | {_codes(codes)} |"
    yield ""


def _type(part: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """The type of a field in one or two words; a union lists them."""
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return _type(document["components"]["schemas"].get(name, {"type": "object"}), document)
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_type(choice, document) for choice in part["anyOf"]))
    if "enum" in part or "const" in part:
        return ", ".join(f"`{json.dumps(value)}`" for value in part.get("enum", [part.get("const")]))
    kind = str(part.get("type", "any"))
    return f"{kind} of {_type(part['items'], document)}" if kind == "array" and "items" in part else kind


def linked(text: str) -> str:
    """`text` of a page in docs/reference, with a link to each document that it names."""
    return re.sub(r"\bdocs/([a-z-]+\.md)", r"[\1](../\1)", text)


def _cell(text: str) -> str:
    return linked(text.replace("|", "\\|").replace("\n", " "))
