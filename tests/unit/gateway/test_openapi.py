"""/openapi.json is valid and matches what is served."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from openapi_spec_validator import validate

import gateway
from gateway.access import PERMIT_PATH, Access
from gateway.app import ALL_ROUTES, build_app
from gateway.keys import DOCUMENT
from gateway.middleware import CATCH_ALL
from gateway.pages.docs import _page
from gateway.routing import methods_of
from pipeline.bootstrap import GatewayServices
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.webhooks import SUBSCRIBED
from schemas.content_list import SORT_FIELDS, ContentFilters
from schemas.webhooks import WebhookEvent

pytestmark = pytest.mark.unit

APP = build_app(cast(GatewayServices, None))  # no request is sent here
API: dict[str, Any] = APP[DOCUMENT]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in API["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def test_the_document_is_valid() -> None:
    validate(API)


def test_the_served_routes_are_the_documented_ones() -> None:
    served = {
        (route.method, route.resource.canonical)
        for route in APP.router.routes()
        if route.resource is not None and route.method not in {"*", "HEAD", "OPTIONS"}
    }
    aliases = {(route.method, alias) for route in ALL_ROUTES for alias in route.aliases}
    in_path = {(route.method, PERMIT_PATH + route.path) for route in ALL_ROUTES if route.access.in_path}
    documented = {(method, path) for method, path, _ in operations()} | aliases | in_path
    assert served == {(method, path) for method, path in documented if method != "OPTIONS"}


def test_every_path_serves_the_methods_that_it_allows() -> None:
    for resource in APP.router.resources():
        if resource.canonical == CATCH_ALL.replace(":.*", ""):
            continue
        mounted = {route.method for route in resource if route.method != "*"}
        assert mounted == set(methods_of(ALL_ROUTES, resource.canonical.removeprefix(PERMIT_PATH)))


def test_every_code_is_documented_under_its_own_status() -> None:
    for route in ALL_ROUTES:
        responses = API["paths"][route.path][route.method.lower()]["responses"]
        for code in route.all_errors:
            for status in route.error_form.statuses_of(code):
                assert code in responses[str(status)]["content"]["application/json"]["examples"]


def test_a_status_is_a_success_or_a_failure() -> None:
    for route in ALL_ROUTES:
        failures = {status for code in route.all_errors for status in route.error_form.statuses_of(code)}
        assert not failures & {response.status for response in route.responses}, route.path


def test_every_code_in_the_gateway_is_documented_at_a_route() -> None:
    documented = {code for route in ALL_ROUTES for code in route.all_errors} | {"ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED"}
    raised = {
        node.value
        for file in Path(gateway.__path__[0]).rglob("*.py")
        if file.name != "error_advice.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in CATALOGUE
    }
    assert raised <= documented


def test_every_reference_has_a_target() -> None:
    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    for reference in references(API):
        assert reference.removeprefix("#/components/schemas/") in API["components"]["schemas"]


def test_query_parameters_are_what_the_handler_parses() -> None:
    named = {
        item["name"]: item["schema"]
        for item in API["paths"]["/v1/uploads"]["get"]["parameters"]
        if item["in"] == "query"
    }
    assert set(named) == {"status", "owner", "cell", "limit", "cursor"}
    assert named["limit"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert "waiting" in named["status"]["enum"]


def test_filters_of_contents_are_documented_with_their_types() -> None:
    named = {item["name"]: item for item in API["paths"]["/v1/contents"]["get"]["parameters"] if item["in"] == "query"}
    assert set(named) == {"limit", "cursor", "sort", *ContentFilters.model_fields}
    assert all(item["description"] for item in named.values())
    schemas = {name: item["schema"] for name, item in named.items()}
    assert schemas["min_width"] == {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
    assert schemas["max_bit_rate"] == {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    assert schemas["min_frame_rate"] == {"type": "number", "minimum": 0}
    assert schemas["min_created_at"] == {"type": "string", "format": "date-time"}
    assert schemas["rotation"] == {"type": "integer", "enum": [0, 90, 180, 270]}
    assert schemas["kind"]["enum"] == ["video", "image", "audio"]
    assert set(schemas["sort"]["enum"]) == {sign + name for name in SORT_FIELDS for sign in ("", "-")}
    assert schemas["sort"]["default"] == "-created_at"


def test_every_operation_says_who_may_call_it() -> None:
    for route in ALL_ROUTES:
        operation = API["paths"][route.path][route.method.lower()]
        assert operation["x-sluice-access"] == str(route.access)
        assert route.access.description in operation["description"]


def test_a_route_without_access_is_refused_at_start() -> None:
    undeclared = replace(ALL_ROUTES[0], access=cast(Access, None))
    with pytest.raises(TypeError, match="POST /v1/uploads declares no access"):
        build_app(cast(GatewayServices, None), routes=(undeclared,))


def test_headers_of_a_route_are_documented_for_successes_and_errors() -> None:
    declared = [(route, name, value) for route in ALL_ROUTES for name, value in route.response_headers.items()]
    assert declared
    for route, name, value in declared:
        for response in API["paths"][route.path][route.method.lower()]["responses"].values():
            assert response["headers"][name]["schema"]["const"] == value


def test_the_whole_catalogue_is_included() -> None:
    assert set(API["x-error-catalogue"]) == set(CATALOGUE)


def test_the_page_contacts_no_other_host() -> None:
    page, policy = _page()
    assert "://" not in page
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy
    assert "/*" not in page.partition("<style>")[2][:9]


def test_every_event_of_webhooks_is_described() -> None:
    assert set(API["webhooks"]) == set(SUBSCRIBED)
    for name, item in API["webhooks"].items():
        media = item["post"]["requestBody"]["content"]["application/json"]
        WebhookEvent.model_validate(media["example"])
        assert media["example"]["type"] == media["schema"]["properties"]["type"]["const"] == name
