"""The protocols of the faulty store: how a client of it is built, and which responses that client treats as
transient."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from pipeline.adapters.object_store.s3 import S3Credentials, S3ObjectStore, S3Options
from pipeline.adapters.object_store.swift import SwiftObjectStore, SwiftOptions, TempAuth
from tests.contract.object_store.faulty_server import DEADLINE_SECONDS
from tests.contract.object_store.uploads import Store


def swift_options(seconds: float = DEADLINE_SECONDS) -> SwiftOptions:
    """`seconds`: how long the client waits for anything. Tests of a stall choose less."""
    return SwiftOptions(
        connect_seconds=seconds,
        stall_seconds=seconds,
        response_seconds=seconds,
        manifest_seconds=seconds,
        auth_seconds=seconds,
    )


def swift_client(url: str, seconds: float = DEADLINE_SECONDS) -> SwiftObjectStore:
    return SwiftObjectStore(TempAuth(f"{url}/auth/v1.0", "u", "k"), "c", options=swift_options(seconds))


def s3_client(url: str, seconds: float = DEADLINE_SECONDS) -> S3ObjectStore:
    options = S3Options(
        endpoint_url=url,
        connect_seconds=seconds,
        stall_seconds=seconds,
        response_seconds=seconds,
    )  # not complete_seconds: botocore uses it for everything, and it must not be what ends a read
    return S3ObjectStore("c", S3Credentials("key", "secret"), options=options)


@dataclass(frozen=True)
class Dialect:
    """`transient` and `permanent`: statuses of a segment's PUT that may be retried, and that may not. `stored`: the
    status of success. `error_body`: the body of an error with this reason."""

    name: str
    client: Callable[[str, float], AbstractAsyncContextManager[Store]] = field(repr=False)
    transient: tuple[int, ...]
    permanent: tuple[int, ...]
    stored: int
    error_body: Callable[[str], bytes] = field(repr=False)


def _xml(reason: str) -> bytes:
    return f"<Error><Code>SomethingElse</Code><Message>{reason}</Message></Error>".encode()


SWIFT = Dialect(
    "swift",
    swift_client,
    transient=(408, 409, 422, 429, 498, 500, 502, 503, 504, 507),
    permanent=(400, 405, 411, 412, 413, 416, 301),
    stored=201,
    error_body=str.encode,
)
S3 = Dialect(
    "s3",
    s3_client,
    transient=(408, 429, 500, 502, 503, 504, 507),
    permanent=(400, 405, 409, 411, 412, 413, 416, 422, 301),
    stored=200,
    error_body=_xml,
)
DIALECTS = (SWIFT, S3)
