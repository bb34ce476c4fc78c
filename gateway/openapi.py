"""The OpenAPI 3.1 document, built from the route table and the pydantic models.

Guarantee: paths, methods, parameters, bodies and responses come from the rows that are served and from the models that
parse and serialize. The integration tests validate real responses against the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.access import STORE, URL_PARAMETER, Access
from gateway.curl_lines import curl_line
from gateway.error_advice import advice_for
from gateway.example_bodies import example_body
from gateway.http.envelope import PROBLEM
from gateway.http.request_ids import HEADER
from gateway.limits import LEVEL_FIELD, POLICY_FIELD
from gateway.openapi_parameters import parameters
from gateway.openapi_webhooks import MODELS, webhooks_section
from gateway.routing import JSON, ResponseSpec, Route
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.errors import TEMPORARY_REDIRECT
from pipeline.core.stages import Stage
from schemas.http import Failure, PlainFailure, Success

_REF = "#/components/schemas/{model}"

_DESCRIPTION = """Receives large videos and images segment by segment and turns each into a stored object, a metadata \
row and a thumbnail.

Every JSON response has the same envelope, for a success:
`{"success": true, "status": 201, "data": {...}}`
or for an error:
`{"success": false, "status": 404, "error": {"code": ..., "message": ..., "path": ..., "request_id": ..., \
"detail": {...}}}`

Error codes are stable: branch on `error.code`. Every GET route also supports HEAD, and every path supports OPTIONS. \
Every request except health checks needs an API key or a token in `Authorization: Bearer`; the description of each \
route ends with who may call it."""

_HEADERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    HEADER: (
        "The id of this request in the log: the one that the client sent, else a new one.",
        {"type": "string"},
    ),
    "Location": (
        "The same request at the URL of the cell that serves it.",
        {"type": "string", "format": "uri"},
    ),
    "Retry-After": ("Seconds after which the same request may succeed.", {"type": "integer", "minimum": 1}),
    POLICY_FIELD: (
        "Limits of the caller's owner, with quota and window in seconds (draft-ietf-httpapi-ratelimit-headers).",
        {"type": "string", "examples": ['"requests";q=1000;w=2, "creations";q=200;w=4']},
    ),
    LEVEL_FIELD: (
        "What remains of them, and the seconds until it is whole again, or until the next request is served.",
        {"type": "string", "examples": ['"requests";r=987;t=1']},
    ),
}

_PATH_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "id": {
        "description": "The `id` in the response to the creation",
        "schema": {"type": "string", "pattern": "^[0-9A-Za-z-]{1,64}$"},
    },
    "webhook": {
        "description": "The `id` of the webhook",
        "schema": {"type": "string", "format": "uuid"},
    },
    "number": {
        "description": "Number of the segment, from 1",
        "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    },
    "name": {
        "description": "Name of the file",
        "schema": {"type": "string", "pattern": "^[a-z0-9.-]{1,64}$"},
    },
    "stage": {"description": "The stage", "schema": {"type": "string", "enum": [str(stage) for stage in Stage]}},
}

_SECURITY: Mapping[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, a token of the identity provider, or a token that Sluice has signed",
    },
    "url": {
        "type": "apiKey",
        "in": "query",
        "name": URL_PARAMETER,
        "description": "A token that Sluice has signed, where a browser cannot send headers",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "An API key as the password, for browsers"},
    "store": {
        "type": "http",
        "scheme": "bearer",
        "description": "The secret of SLUICE_EVENTS_TOKEN; also accepted as the password of Basic",
    },
}


def build_document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document, ready for `json.dumps`."""
    table = tuple(routes)
    schemas = _schemas(table)
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sluice", "version": _version(), "description": _DESCRIPTION},
        "paths": paths,
        "webhooks": webhooks_section(_REF),
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
        "tags": [{"name": name} for name in dict.fromkeys(route.tag for route in table)],
        "x-error-catalogue": {
            code: {
                "status": spec.http_status,
                "retryable": spec.retryable,
                "message": spec.message,
                "advice": advice_for(code),
            }
            for code, spec in CATALOGUE.items()
        },
    }


def envelope_of(response: ResponseSpec) -> type[BaseModel] | None:
    """The model of a whole response body; None where there is none."""
    if response.data is None or response.bare:
        return response.data
    envelope: Any = Success
    model: type[BaseModel] = envelope[response.data]
    return model


def _schemas(routes: tuple[Route, ...]) -> dict[str, Any]:
    sent = {model for route in routes for response in route.responses if (model := envelope_of(response))}
    sent |= {Failure, *MODELS, *(route.error_form.model for route in routes)}
    received = {route.body for route in routes if route.body}
    _, definitions = models_json_schema(
        [*((model, "validation") for model in received), *((model, "serialization") for model in sent)],
        ref_template=_REF,
    )
    found: dict[str, Any] = definitions["$defs"]
    return dict(sorted(found.items()))


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}.{route.handler.__name__}",
        "tags": [route.tag],
        "summary": route.summary,
        "description": f"{route.description}\n\nAccess: {route.access.description}.",
        "x-sluice-access": str(route.access),
        "security": _security(route.access),
        "parameters": parameters(route, _PATH_PARAMETERS),
        "responses": {**_successes(route), **_failures(route)},
        "x-codeSamples": [{"lang": "Shell", "label": "curl", "source": curl_line(route)}],
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _reference(route.body)}}}
    if route.raw_body:
        content = {name: {"schema": {"type": "string", "format": "binary"}} for name in route.raw_types}
        operation["requestBody"] = {"required": True, "description": route.raw_body, "content": content}
    return operation


def _security(access: Access) -> list[dict[str, list[str]]]:
    """The alternatives. None: the route needs no credential."""
    if access is STORE:
        return [{"store": []}]
    if access.anyone:
        return []
    named = {"bearer": True, "url": bool(access.in_url), "basic": access.basic}
    return [{name: []} for name, accepted in named.items() if accepted]


def _successes(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for response in route.responses:
        headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in response.headers.items()}
        entry: dict[str, Any] = {
            "description": response.description,
            "headers": {**_header(HEADER), **headers, **_limit_headers(route), **_route_headers(route)},
        }
        model = envelope_of(response)
        if response.media_type:
            example = example_body(response)
            shown = {} if example is None else {"example": example}
            entry["content"] = {response.media_type: {**_media(response, model), **shown}}
        found[str(response.status)] = entry
    return found


def _media(response: ResponseSpec, model: type[BaseModel] | None) -> dict[str, Any]:
    """OpenAPI 3.1 has no schema for a sequence of events."""
    if response.media_type == "text/event-stream":
        return {}
    return {"schema": _reference(model) if model else {"type": "object" if response.media_type == JSON else "string"}}


def _failures(route: Route) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in route.all_errors:
        for status in route.error_form.statuses_of(code):
            by_status.setdefault(status, []).append(code)
    return {str(status): _failure(route, status, codes) for status, codes in sorted(by_status.items())}


def _failure(route: Route, status: int, codes: list[str]) -> dict[str, Any]:
    examples: dict[str, dict[str, Any]] = {
        code: {
            "summary": CATALOGUE[code].message,
            "value": {
                "success": False,
                "status": status,
                "error": {
                    "code": code,
                    "message": CATALOGUE[code].message,
                    "path": route.path,
                    "request_id": "0198c1f2",
                    "detail": {},
                },
            },
        }
        for code in codes
    }
    form = route.error_form
    if form.model is PlainFailure:
        for code, example in examples.items():
            example["value"] |= {"message": f"{CATALOGUE[code].message} ({code})"}
    waits = any(CATALOGUE[code].retryable for code in codes)
    content: dict[str, Any] = {JSON: {"schema": _reference(form.model), "examples": examples}}
    if form.problems.intersection(codes):
        content[PROBLEM] = {"schema": _reference(Failure)}
    return {
        "description": ", ".join(codes),
        "headers": {
            **_header(HEADER),
            **(_header("Retry-After") if waits else {}),
            **(_header("Location") if status == TEMPORARY_REDIRECT else {}),
            **_limit_headers(route),
            **_route_headers(route),
        },
        "content": content,
    }


def _route_headers(route: Route) -> dict[str, Any]:
    return {
        name: {"description": f"Always `{value}`", "schema": {"type": "string", "const": value}}
        for name, value in route.response_headers.items()
    }


def _limit_headers(route: Route) -> dict[str, Any]:
    """Those of a route whose callers have owners."""
    return {} if route.access.anyone else {**_header(POLICY_FIELD), **_header(LEVEL_FIELD)}


def _header(name: str) -> dict[str, Any]:
    description, schema = _HEADERS[name]
    return {name: {"description": description, "schema": dict(schema)}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    # How pydantic names a generic model in `models_json_schema`: every other character becomes an underscore.
    return {"$ref": _REF.format(model=re.sub(r"[^a-zA-Z0-9.\-_]", "_", model.__name__))}


def _version() -> str:
    try:
        return version("sluice")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0"
