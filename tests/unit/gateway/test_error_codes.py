"""Each route documents what the services that its handler calls can raise, and what its body, query and path can cause.

The calls are read from the source: from the handler and from what it uses in its module.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest

from gateway import access
from gateway.api.shared import PageQuery
from gateway.app import ALL_ROUTES
from gateway.error_codes import (
    ANY_TYPE_BODY_ERRORS,
    CONTENT_LOOKUP_ERRORS,
    DATABASE_ERRORS,
    JSON_BODY_ERRORS,
    LIST_ERRORS,
    REDIS_ERRORS,
    REGISTRATION_ERRORS,
    STORE_ERRORS,
    TEMP_VOLUME_ERRORS,
    UPLOAD_LOOKUP_ERRORS,
    WEBHOOK_LOOKUP_ERRORS,
)
from gateway.http import envelope
from gateway.openapi import build_document
from gateway.routing import Route
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.errors import SluiceError

pytestmark = pytest.mark.unit

APPEND_CALL_ERRORS = (
    *("UPLOAD_ENDED", "TRANSPORT_DIFFERS", "SEGMENT_DIFFERS", "TEMP_FILE_MISSING"),
    *(code for code in CATALOGUE if code.startswith("APPEND_")),
)

JOINING_ERRORS = (
    *("UPLOAD_NOT_PARTIAL", "PARTIAL_UPLOAD_INCOMPLETE", "PARTIAL_UPLOADS_NOT_STORED"),
    *("PARTIAL_UPLOAD_USED", "UPLOAD_ENDED"),
)

ERRORS: Mapping[str, tuple[str, ...]] = {
    "authenticator.holds": (),
    "authenticator.is_trusted": (),
    "signed_messages.confirm_url": (),
    "signed_messages.require_valid": ("EVENTS_TOPIC_NOT_ALLOWED", "EVENTS_SIGNATURE_WRONG", "EVENTS_NOT_VERIFIED"),
    "authenticator.issue": (),
    "authenticator.issue_permit": (),
    "appender.append": (*UPLOAD_LOOKUP_ERRORS, *APPEND_CALL_ERRORS),
    "appender.position": UPLOAD_LOOKUP_ERRORS,
    "concatenation.create_partial": (*REGISTRATION_ERRORS, *STORE_ERRORS),
    "concatenation.parts": (*UPLOAD_LOOKUP_ERRORS, *JOINING_ERRORS),
    "concatenation.create_final": (
        *(*REGISTRATION_ERRORS, *STORE_ERRORS, *JOINING_ERRORS),
        *("TOO_MANY_SEGMENTS", "CONCATENATION_NOT_SUPPORTED"),
    ),
    "creation.create": (*REGISTRATION_ERRORS, *STORE_ERRORS),
    "creation.cancel": UPLOAD_LOOKUP_ERRORS,
    "lookup.detail": UPLOAD_LOOKUP_ERRORS,
    "lookup.page": REDIS_ERRORS,
    "importer.default_bucket": (),
    "importer.take": (*REGISTRATION_ERRORS, *STORE_ERRORS, *DATABASE_ERRORS),
    "direct.create": (*REGISTRATION_ERRORS, *STORE_ERRORS),
    "direct.create_deferred": (*REGISTRATION_ERRORS, *STORE_ERRORS),
    "direct.held": (*UPLOAD_LOOKUP_ERRORS, *STORE_ERRORS),
    "direct.grants": (*UPLOAD_LOOKUP_ERRORS, *STORE_ERRORS),
    "direct.complete": (*UPLOAD_LOOKUP_ERRORS, *STORE_ERRORS),
    "receiver.open": UPLOAD_LOOKUP_ERRORS,
    "receiver.receive": UPLOAD_LOOKUP_ERRORS,
    "contents.get": CONTENT_LOOKUP_ERRORS,
    "contents.page": DATABASE_ERRORS,
    "downloads.segments": CONTENT_LOOKUP_ERRORS,
    "downloads.presign": STORE_ERRORS,
    "downloads.presign_segment": STORE_ERRORS,
    "downloads.blocks": STORE_ERRORS,
    "downloads.segment_digest": (),
    "downloads.rules": (),
    "receipts.issue": ("RECEIPTS_NOT_OFFERED", *CONTENT_LOOKUP_ERRORS),
    "receipts.keys": (),
    "deletions.delete": CONTENT_LOOKUP_ERRORS,
    "deletion_list.page": DATABASE_ERRORS,
    "feed.watch": REDIS_ERRORS,
    "other_cells.own": (),
    "overview.read": REDIS_ERRORS,
    "lookup.search": REDIS_ERRORS,
    "stage_retries.retry": UPLOAD_LOOKUP_ERRORS,
    "webhooks.create": ("WEBHOOK_URL_REFUSED", "WEBHOOK_LIMIT", *DATABASE_ERRORS),
    "webhooks.page": DATABASE_ERRORS,
    "webhooks.get": WEBHOOK_LOOKUP_ERRORS,
    "webhooks.change": ("WEBHOOK_URL_REFUSED", *WEBHOOK_LOOKUP_ERRORS),
    "webhooks.rotate": WEBHOOK_LOOKUP_ERRORS,
    "webhooks.remove": WEBHOOK_LOOKUP_ERRORS,
    "webhooks.test": WEBHOOK_LOOKUP_ERRORS,
    "webhooks.deliveries": WEBHOOK_LOOKUP_ERRORS,
    "webhooks.replay": WEBHOOK_LOOKUP_ERRORS,
    "collect": (),
}
"""What each call of a service can raise because of its dependencies."""


_SHARED = ("gateway.protocols.", "gateway.issuing")


def used(module: ModuleType, name: str, seen: set[str]) -> Iterator[str]:
    """The source of a function or class, of everything of its module that it uses, and of what it uses of the other
    modules that share the implementation of its routes."""
    if f"{module.__name__}.{name}" in seen:
        return
    seen.add(f"{module.__name__}.{name}")
    target = getattr(module, name.partition(".")[0], None)
    if inspect.ismodule(target) and "." in name:
        if target.__name__.startswith(_SHARED):
            yield from used(target, name.partition(".")[2], seen)
        return
    if inspect.isfunction(target) and target.__module__ != module.__name__:
        if target.__module__.startswith(_SHARED):
            yield from used(sys.modules[target.__module__], name, seen)
        return
    tree = ast.parse(inspect.getsource(module))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            yield ast.unparse(node)
            for part in ast.walk(node):
                if isinstance(part, ast.Name):
                    yield from used(module, part.id, seen)
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                    yield from used(module, f"{part.value.id}.{part.attr}", seen)


def calls(route: Route) -> set[str]:
    """What a handler calls of the services: `service.method`, or the method alone."""
    source = "\n".join(used(sys.modules[route.handler.__module__], route.handler.__name__, set()))
    source = source.replace("self._request.app[SERVICES]", "SERVICES").replace("request.app[SERVICES]", "SERVICES")
    source = re.sub(r"^( *)(\w+), \w+ = \((SERVICES), .*\)$", r"\1\2 = \3", source, flags=re.MULTILINE)
    source = re.sub(r"^( *)(\w+), \w+ = \((SERVICES\.\w+), .*\)$", r"\1\2 = \3", source, flags=re.MULTILINE)
    for name, value in re.findall(r"^ *(\w+) = (SERVICES[.\w]*)$", source, re.MULTILINE):
        source = re.sub(rf"(?<![.\w]){name}(?=\.)", value, source)
    found = {".".join(filter(None, names)) for names in re.findall(r"SERVICES\.(\w+)(?:\.(\w+))?", source)}
    return {call for call in found if "." in call or call in ERRORS}


@pytest.mark.parametrize("route", ALL_ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_documents_what_its_services_raise(route: Route) -> None:
    assert calls(route) <= set(ERRORS), "name what this call raises"
    raised = {code for call in calls(route) for code in ERRORS[call]}
    assert raised - set(route.all_errors) == set()


def test_the_calls_are_found() -> None:
    assert {call for route in ALL_ROUTES for call in calls(route)} == set(ERRORS)


@pytest.mark.parametrize("route", ALL_ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_documents_what_its_request_can_cause(route: Route) -> None:
    expected: set[str] = {"INTERNAL", "REQUEST_MALFORMED"}
    if route.body is not None:
        expected |= set(ANY_TYPE_BODY_ERRORS if route.access is access.STORE else JSON_BODY_ERRORS)
    if route.raw_body:
        expected |= {"ENCODING_NOT_SUPPORTED"}
    if route.query is not None:
        expected |= set(LIST_ERRORS) if issubclass(route.query, PageQuery) else {"VALIDATION_FAILED"}
    if "{number}" in route.path:
        expected |= {"VALIDATION_FAILED"}
    if any(response.status == 206 for response in route.responses):
        expected |= {"RANGE_NOT_SATISFIABLE", "PRECONDITION_FAILED", "STORE_OBJECT_MISSING"}
    assert expected - set(route.all_errors) == set()


def test_no_code_is_documented_twice() -> None:
    for route in ALL_ROUTES:
        assert len(set(route.all_errors)) == len(route.all_errors)


@pytest.mark.parametrize("code", [code for code, spec in CATALOGUE.items() if spec.retryable])
def test_every_retryable_error_says_when(code: str) -> None:
    response = envelope.failure(SluiceError(code), "/", "id")
    assert int(response.headers["Retry-After"]) >= 1


def test_retry_after_is_documented_wherever_it_is_sent() -> None:
    document: dict[str, Any] = build_document(ALL_ROUTES)
    for item in document["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                codes = response.get("content", {}).get("application/json", {}).get("examples", {})
                if int(status) >= 400 and any(CATALOGUE[code].retryable for code in codes):
                    assert "Retry-After" in response["headers"]


def test_temp_volume_errors_are_part_of_every_lookup() -> None:
    assert set(TEMP_VOLUME_ERRORS) <= set(UPLOAD_LOOKUP_ERRORS)
