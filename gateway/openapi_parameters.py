"""The parameters of a route in OpenAPI: of its path, its query and its headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.http.request_ids import HEADER
from gateway.routing import RequestHeader, Route

_REQUEST_ID = RequestHeader(
    HEADER,
    "Your own id for this request: 1 to 128 letters, digits and any of . _ : -; anything else is replaced. It is "
    "returned in the response and written to the log.",
    {"type": "string"},
)


def parameters(route: Route, in_path: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """In the order of path, query, headers; the last one is the request id, which every route accepts. `in_path`: those
    of paths, by name."""
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, **in_path[name]} for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.query is not None:
        schema = route.query.model_json_schema()
        for name, part in schema["properties"].items():
            inline = _inline(part, schema.get("$defs", {}))
            description = inline.pop("description", "")
            required = name in schema.get("required", ())
            found.append(
                {"name": name, "in": "query", "required": required, "description": description, "schema": inline}
            )
    found.extend(
        {
            "name": header.name,
            "in": "header",
            "required": False,
            "description": header.description,
            "schema": dict(header.schema),
        }
        for header in (*route.request_headers, _REQUEST_ID)
    )
    return found


def _inline(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a query parameter, inlined. A parameter that is not sent is absent, so null is not among its
    types."""
    if "anyOf" in part:
        choices = [choice for choice in part["anyOf"] if choice.get("type") != "null"]
        rest = {key: value for key, value in part.items() if key not in {"anyOf", "default", "title"}}
        return _inline({**choices[0], **rest}, definitions)
    if "$ref" in part:
        target = definitions[part["$ref"].rpartition("/")[2]]
        return {
            "type": target["type"],
            "enum": target["enum"],
            **{key: part[key] for key in part if key == "description"},
        }
    return {key: value for key, value in part.items() if key != "title"}
