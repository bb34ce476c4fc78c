"""Examples in /openapi.json are valid against the schemas that they illustrate, and no JSON body lacks one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from gateway.app import ALL_ROUTES, build_app
from gateway.curl_lines import curl_line
from gateway.error_advice import ADVICE
from gateway.example_bodies import example_of
from gateway.keys import DOCUMENT
from gateway.routing import Route
from pipeline.bootstrap import GatewayServices
from pipeline.core.error_codes import CATALOGUE

pytestmark = pytest.mark.unit

API: dict[str, Any] = build_app(cast(GatewayServices, None))[DOCUMENT]  # no request is sent here
ROUTES = pytest.mark.parametrize("route", ALL_ROUTES, ids=lambda route: f"{route.method} {route.path}")


def errors_of(schema: Mapping[str, Any], value: Any) -> list[str]:
    validator = OAS31Validator({**schema, "components": API["components"]}, format_checker=oas31_format_checker)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(value)]


def schemas_with_examples(part: Any, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema of the document that has `examples`, and where it is. Those of media types are objects."""
    if isinstance(part, dict):
        if isinstance(part.get("examples"), list):
            yield place, part
        for name, value in part.items():
            if name not in ("example", "examples"):
                yield from schemas_with_examples(value, f"{place}/{name}")
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from schemas_with_examples(value, f"{place}/{number}")


def test_examples_of_schemas_are_valid() -> None:
    found = list(schemas_with_examples(API))
    assert len(found) > 20
    for place, schema in found:
        for example in schema["examples"]:
            assert not errors_of(schema, example), place


@ROUTES
def test_responses_have_a_valid_example(route: Route) -> None:
    responses = API["paths"][route.path][route.method.lower()]["responses"]
    for response in route.responses:
        content = responses[str(response.status)].get("content", {})
        for media in content.values():
            if response.data is not None:
                assert "example" in media
                assert response.bare or media["example"]["status"] == response.status
            if "example" in media and "schema" in media:
                assert not errors_of(media["schema"], media["example"])


@pytest.mark.parametrize("name", API["webhooks"])
def test_events_of_webhooks_have_a_valid_example(name: str) -> None:
    media = API["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]
    assert not errors_of(media["schema"], media["example"])


@ROUTES
def test_errors_have_a_valid_example(route: Route) -> None:
    for response in API["paths"][route.path][route.method.lower()]["responses"].values():
        media = response.get("content", {}).get("application/json", {})
        for example in media.get("examples", {}).values():
            assert not errors_of(media["schema"], example["value"])


@ROUTES
def test_bodies_and_queries_have_an_example_that_their_model_parses(route: Route) -> None:
    if route.body is not None:
        route.body.model_validate(example_of(route.body))
    if route.query is not None and (example := example_of(route.query)):
        route.query.model_validate({name: str(value) for name, value in example.items()})


@ROUTES
def test_every_route_has_a_curl_line(route: Route) -> None:
    (sample,) = API["paths"][route.path][route.method.lower()]["x-codeSamples"]
    assert sample == {"lang": "Shell", "label": "curl", "source": curl_line(route)}
    assert ("Authorization: Bearer $" in sample["source"]) == (route.access.name != "public")
    assert "{" not in sample["source"].partition(" -d ")[0]


def test_every_code_has_advice() -> None:
    assert set(ADVICE) == set(CATALOGUE)
    assert all(text.endswith(".") for text in ADVICE.values())
