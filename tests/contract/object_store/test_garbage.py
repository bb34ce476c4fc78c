"""A server that responds with garbage to every kind of request: only StoreErrors leave the adapters, and nothing is
taken for a success."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from pipeline.adapters.object_store.http.bodies import PARSED_BYTES
from pipeline.adapters.object_store.limits import SWIFT_LIMITS
from pipeline.adapters.object_store.names import multipart_name
from pipeline.adapters.object_store.swift import (
    ClientAccess,
    KeystoneApplicationCredential,
    KeystonePassword,
    SwiftAuth,
    SwiftObjectStore,
    TempAuth,
    TempUrlSigner,
)
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import ObjectTarget, SegmentSpan, StoredSegment
from tests.contract.object_store.dialects import Dialect, s3_client, swift_options
from tests.contract.object_store.faulty_server import DEADLINE_SECONDS, FaultyStore, respond
from tests.contract.object_store.garbage import Flood, garbage
from tests.contract.object_store.uploads import Scenario, Store, content, keys, segment_content
from tests.unit.object_store.test_guard import PORT_METHODS

pytestmark = pytest.mark.contract

GARBAGE = dict(garbage())
KEY = "contents/u/original"
MIB = 1024 * 1024


@dataclass
class Calls:
    """One call for every method of the ports."""

    store: Any

    def __post_init__(self) -> None:
        self.upload = Scenario(cast(Store, self.store), sizes=(100, 100, 5))
        self.single = Scenario(cast(Store, self.store), sizes=(100,))
        plans = [self.single.target.plan, self.upload.target.plan]
        self.joined = ObjectTarget("f", KEY, "video/mp4", SegmentPlan.joined(plans), session="s", parts=("a", "b"))
        self.one = ObjectTarget("f", KEY, "video/mp4", SegmentPlan.joined(plans[:1]), parts=("a",))
        self.segments = [StoredSegment(n, self.upload.target.plan.length(n), "0" * 32) for n in (1, 2, 3)]

    async def _sessions(self) -> list[tuple[str, str]]:
        return [session async for session in self.store.open_sessions()]

    def every(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        store, target = self.store, self.upload.target
        span = SegmentSpan("u", 1, 2, 0, 9)
        return {
            "put_segment": lambda: store.put_segment(target, self.upload.source(1)),
            "put_segment whole": lambda: store.put_segment(self.single.target, self.single.source(1)),
            "put_segment of a part": lambda: store.put_segment(
                replace(self.upload.target, partial=True), self.upload.source(1)
            ),
            "put_object": lambda: store.put_object(KEY, b"body", "text/plain"),
            "seal": lambda: store.seal(target, self.segments),
            "seal whole": lambda: store.seal(self.single.target, [StoredSegment(1, 100, "0" * 32)]),
            "seal joined": lambda: store.seal(
                self.joined, [StoredSegment(n, self.joined.plan.length(n), "0" * 32) for n in (1, 2, 3, 4)]
            ),
            "seal joined whole": lambda: store.seal(self.one, [StoredSegment(1, 100, "0" * 32)]),
            "abort": lambda: store.abort(target),
            "abort joined": lambda: store.abort(self.joined),
            "abort whole": lambda: store.abort(self.single.target),
            "delete": lambda: store.delete(KEY),
            "delete segment": lambda: store.delete("segment:u/00000001"),
            "delete session": lambda: store.delete(multipart_name(KEY, "s")),
            "list_keys": lambda: keys(store),
            "list_keys segments": lambda: keys(store, "segment:u"),
            "head": lambda: store.head(KEY),
            "read range": lambda: content(store, KEY, 5, 9),
            "read": lambda: content(store, KEY),
            "read_segment": lambda: segment_content(store, target, 1, 5, 9),
            "read_segment whole": lambda: segment_content(store, self.single.target, 1, 5, 9),
            "check": lambda: store.check(),
            "held_segments": lambda: store.held_segments(target),
            "held_segments whole": lambda: store.held_segments(self.single.target),
            "begin": lambda: store.begin(target),
            "limits": lambda: store.limits(),
            "within": lambda: store.within("other").head(KEY),
            "open_sessions": self._sessions,
            "end_session": lambda: store.end_session(KEY, "s"),
            "presign_download": lambda: store.presign_download(
                KEY, segment_count=2, seconds=60, filename="f", content_type="video/mp4", inline=False
            ),
            "set_content_type": lambda: store.set_content_type(KEY, "video/mp4"),
            "presign_segment_download": lambda: store.presign_segment_download(KEY, span, seconds=60),
            "presign_segments": lambda: store.presign_segments(target, [1, 2], seconds=60),
            "make_whole": lambda: store.make_whole(self.single.target, self.segments[0]),
            "delegate_token": lambda: store.delegate_token(target, [1]),
        }

    def of_store(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Without the abilities that this store does not have."""
        return {name: call for name, call in self.every().items() if hasattr(self.store, name.split()[0])}


# These confirm nothing that a store has done: URLs are made here, limits have presets, and no one can tell the bytes of
# an unknown object from other bytes. `begin` confirms only that requests can be sent, except where it opens a session.
# A bucket is looked for by HEAD, whose response has no form.
CONFIRM_NOTHING = {"presign_download", "presign_segment_download", "presign_segments", "limits", "read"}


def test_every_method_of_the_ports_is_called() -> None:
    called = {name.split()[0] for name in Calls(cast(Any, StoreNamedSwift())).every()}
    assert called == PORT_METHODS - {"remove_drafts", "authenticate"}


class StoreNamedSwift:
    name = "swift"


def clients(url: str, seconds: float = DEADLINE_SECONDS) -> dict[str, Callable[[], Any]]:
    auth = TempAuth(f"{url}/auth/v1.0", "u", "k")
    access = ClientAccess(TempUrlSigner("key"), auth)
    return {
        "swift": lambda: SwiftObjectStore(auth, "c", options=swift_options(seconds), clients=access),
        "s3": lambda: s3_client(url, seconds),
    }


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_is_an_error_of_the_store_and_never_a_success(
    faulty: FaultyStore, dialect: Dialect, what: str
) -> None:
    async with clients(faulty.url)[dialect.name]() as store:
        faulty.everything = GARBAGE[what]
        if dialect.name == "swift":
            store._containers._exist = True  # otherwise nothing but the check of the containers would be tried
        confirmed: list[str] = []
        for name, call in Calls(store).of_store().items():
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await call()
            except StoreError:
                continue
            confirmed.append(name)
    allowed = CONFIRM_NOTHING | ({"begin", "delegate_token"} if dialect.name == "swift" else {"check"})
    assert set(confirmed) <= allowed


async def test_containers_and_buckets_of_garbage(faulty: FaultyStore, dialect: Dialect) -> None:
    """The first request of a process, which looks for the container or bucket."""
    for response in GARBAGE.values():
        async with clients(faulty.url)[dialect.name]() as store:
            faulty.everything = response
            with pytest.raises(StoreError):
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await store.put_object(KEY, b"body", "text/plain")


LOGINS: Mapping[str, Callable[[str], SwiftAuth]] = {
    "tempauth": lambda url: TempAuth(f"{url}/auth/v1.0", "u", "k"),
    "password": lambda url: KeystonePassword(url, "u", "p", "project"),
    "application credential": lambda url: KeystoneApplicationCredential(url, "id", "secret"),
}
CATALOG = b'[{"type": "object-store", "endpoints": [{"interface": "public", "url": "http://h/v1/a"}]}]'
TOKENS: Sequence[bytes] = (
    b'{"token": []}',
    b'{"token": {"catalog": {"type": "object-store"}}}',
    b'{"token": {"catalog": [{"type": "object-store"}]}}',
    b'{"token": {"catalog": [{"type": "object-store", "endpoints": [{"interface": "public", "url": 5}]}]}}',
    b'{"token": {"catalog": [{"type": "object-store", "endpoints": [{"interface": "public", "url": "/v1/a"}]}]}}',
    b'{"token": {"expires_at": 5, "catalog": %s}}' % CATALOG,
    b'{"token": {"expires_at": "soon", "issued_at": "now", "catalog": %s}}' % CATALOG,
)


@pytest.mark.parametrize("login", LOGINS)
async def test_a_login_of_garbage(faulty: FaultyStore, login: str) -> None:
    tokens = [respond(201, {"X-Subject-Token": "t"}, token) for token in TOKENS]
    for response in (*GARBAGE.values(), *tokens):
        faulty.everything = faulty.auth_fault = response
        async with aiohttp.ClientSession() as session:
            with pytest.raises(StoreError):
                await LOGINS[login](faulty.url).authenticate(session, DEADLINE_SECONDS)
        async with SwiftObjectStore(LOGINS[login](faulty.url), "c", options=swift_options()) as store:
            with pytest.raises(StoreError):
                await store.head(KEY)
            assert await store.limits() == SWIFT_LIMITS


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Storage-Url": "no url"},
        {"X-Storage-Url": "/v1/AUTH_a"},
        {"X-Storage-Url": "ftp://h/v1/AUTH_a"},
        {"X-Storage-Url": "http://"},
        {"X-Storage-Url": "http://h:99999999/v1/AUTH_a"},
        {"X-Storage-Url": "http://[::1/v1/AUTH_a"},
        {"X-Auth-Token": ""},
        {"X-Auth-Token": "tök\xe9n"},
    ],
)
async def test_a_login_without_a_usable_token(faulty: FaultyStore, headers: dict[str, str]) -> None:
    good = {"X-Auth-Token": "t", "X-Storage-Url": f"{faulty.url}/v1/AUTH_test"}
    faulty.auth_fault = respond(200, {**good, **headers})
    async with SwiftObjectStore(TempAuth(faulty.auth_url, "u", "k"), "c", options=swift_options()) as store:
        for call in (store.check(), store.head(KEY), store.abort(Scenario(store).target)):
            with pytest.raises(StoreError):
                await call


@pytest.mark.parametrize("first", [b"", b"[", b"<ListBucketResult><Name>"])
@pytest.mark.parametrize("status", [200, 202, 500])
async def test_what_is_parsed_is_bounded(faulty: FaultyStore, dialect: Dialect, first: bytes, status: int) -> None:
    async with clients(faulty.url)[dialect.name]() as store:
        for call in (
            lambda: keys(store),
            lambda: store.seal(Calls(store).upload.target, Calls(store).segments),
            lambda: store.abort(Calls(store).upload.target),
            lambda: store.put_object(KEY, b"x", "text/plain"),
        ):
            flood = faulty.everything = Flood(first, b" " * MIB, status)
            with pytest.raises(StoreError):
                async with asyncio.timeout(2 * DEADLINE_SECONDS):
                    await call()
            assert flood.sent_bytes < PARSED_BYTES + 16 * MIB


async def test_a_listing_that_repeats_its_page_ends(faulty: FaultyStore, dialect: Dialect) -> None:
    """The server ignores the marker."""
    page = {
        "swift": b'[{"name": "a", "bytes": 1, "hash": "x"}]',
        "s3": b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
        b"<Contents><Key>a</Key></Contents></ListBucketResult>",
    }
    async with clients(faulty.url)[dialect.name]() as store:
        faulty.everything = respond(200, body=page[dialect.name])
        with pytest.raises(StoreUnavailable, match="again"):
            async with asyncio.timeout(DEADLINE_SECONDS):
                await keys(store)


@pytest.mark.parametrize(
    ("status", "content_range", "body"),
    [
        (206, "bytes 0-4/10", b"01234"),  # another range
        (206, "bytes 5-9/10", b"0123"),  # fewer bytes
        (206, "bytes 5-9/10", b"012345"),  # more bytes
        (206, "bytes 5-20/30", b"0123456789abcdef"),  # a longer range
        (206, "", b"01234"),
        (206, "bytes */10", b"01234"),
        (206, "lines 5-9/10", b"01234"),
    ],
)
async def test_a_range_that_was_not_requested(
    faulty: FaultyStore, client: Store, status: int, content_range: str, body: bytes
) -> None:
    faulty.fault = respond(status, {"ETag": "e", **({"Content-Range": content_range} if content_range else {})}, body)
    with pytest.raises(StoreUnavailable):
        await content(client, KEY, 5, 9)


@pytest.mark.parametrize(
    ("first", "last", "sent"), [(5, 9, "bytes 5-9/10"), (5, 20, "bytes 5-9/10"), (5, None, "bytes 5-9/*")]
)
async def test_a_range_that_was_requested(
    faulty: FaultyStore, client: Store, first: int, last: int | None, sent: str
) -> None:
    faulty.fault = respond(206, {"ETag": "e", "Content-Range": sent}, b"56789")
    assert await content(client, KEY, first, last) == b"56789"


async def test_one_segment_that_cannot_be_deleted_does_not_keep_the_others(faulty: FaultyStore) -> None:
    listing = b"[%s]" % b", ".join(b'{"name": "u/%08d", "bytes": 1, "hash": "x"}' % number for number in range(1, 41))
    deleted: set[str] = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE":
            if request.path.endswith("00000001"):
                return web.Response(body=b"<html>", status=200)
            deleted.add(request.path[-8:])
            return web.Response(status=204)
        if request.method == "GET":
            return web.Response(body=b"[]" if request.query.get("marker") else listing)
        return web.Response(status=404)

    faulty.everything = handler
    async with clients(faulty.url)["swift"]() as store:
        scenario = Scenario(store, sizes=(100,), upload_id="u")
        with pytest.raises(StoreUnavailable):
            await store.abort(scenario.target)
    assert deleted >= {f"{number:08d}" for number in range(2, 41)}
