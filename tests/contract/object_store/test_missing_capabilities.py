"""A real store that lacks one capability each time: it is found out, it is not believed, and nothing is left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import pytest

from deploy.embedded.endpoints import SwiftEndpoint
from pipeline.adapters.object_store.s3 import S3ObjectStore
from pipeline.adapters.object_store.swift import ClientAccess, SwiftObjectStore, TempAuth, TempUrlSigner
from pipeline.adapters.plain_http import HttpPlainClient
from pipeline.contents.round_trip import examine_store
from pipeline.core.capabilities import CLIENT_CAPABILITIES, Capability
from pipeline.ports import Store
from tests.contract.object_store.conftest import ceph_credentials, ceph_options
from tests.harness.ceph import CephEndpoint
from tests.harness.faults.altering_proxy import AlteringProxy, Passing, unchanged

pytestmark = pytest.mark.contract

C = Capability
DOWNLOADS = frozenset({C.PRESIGNED_GET, C.PRESIGNED_GET_JOINED, C.PRESIGNED_GET_SEGMENT})


@pytest.fixture
async def behind(ceph: CephEndpoint, proxy: AlteringProxy, container: str) -> AsyncIterator[S3ObjectStore]:
    """A store whose clients, but not Sluice itself, reach it through the proxy."""
    options = replace(ceph_options(ceph), public_endpoint_url=proxy.url)
    async with S3ObjectStore(container, ceph_credentials(ceph), options=options) as store:
        yield store


def refuse(status: int, *methods: str) -> Callable[[Passing], None]:
    def before(passing: Passing) -> None:
        if passing.method in methods:
            passing.status = status
            passing.response_body = b"<Error><Code>SomeReason</Code><Message>not here</Message></Error>"

    return before


def without_range(passing: Passing) -> None:
    passing.headers.popall("Range", None)


def without_disposition(passing: Passing) -> None:
    passing.response_headers.popall("Content-Disposition", None)


def other_host(passing: Passing) -> None:
    passing.headers["Host"] = "internal.example"


def other_bytes(passing: Passing) -> None:
    passing.response_body = bytes(len(passing.response_body))


def one_byte_more(passing: Passing) -> None:
    if passing.method == "GET":
        passing.response_body += b"x"


def not_stored(passing: Passing) -> None:
    if passing.method == "PUT":
        passing.status = 200


def empty_body(passing: Passing) -> None:
    if passing.method == "GET":
        passing.response_body = b""


@dataclass(frozen=True)
class Lack:
    """What the proxy changes, and the capabilities for clients that are then missing, with a part of the reason."""

    name: str
    missing: frozenset[Capability]
    reason: str
    before: Callable[[Passing], None] = unchanged
    after: Callable[[Passing], None] = unchanged


LACKS = (
    Lack("nothing", frozenset(), ""),
    Lack("presigned PUT is refused", frozenset({C.PRESIGNED_PUT}), "403 <Error><Code>SomeReason", refuse(403, "PUT")),
    Lack("presigned PUT is not implemented", frozenset({C.PRESIGNED_PUT}), "501", refuse(501, "PUT")),
    Lack("presigned PUT stores nothing", frozenset({C.PRESIGNED_PUT}), "does not have the segment", not_stored),
    Lack("presigned GET is refused", DOWNLOADS, ": 403 ", refuse(403, "GET")),
    Lack("presigned GET redirects", DOWNLOADS, ": 307 ", refuse(307, "GET")),
    Lack("Range is ignored", DOWNLOADS, "the Range is ignored", without_range),
    Lack("other bytes", DOWNLOADS, "not those of the object", after=other_bytes),
    Lack("one byte more", DOWNLOADS, "not those of the object", after=one_byte_more),
    Lack("an empty body", DOWNLOADS, "not those of the object", after=empty_body),
    Lack(
        "no file name",
        frozenset({C.PRESIGNED_GET, C.PRESIGNED_GET_JOINED}),
        "not name the file",
        after=without_disposition,
    ),
    Lack("a proxy that changes Host", frozenset(CLIENT_CAPABILITIES), "403", other_host),
)


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("lack", LACKS, ids=lambda lack: lack.name)
async def test_what_clients_cannot_do_is_found_out(
    behind: S3ObjectStore, proxy: AlteringProxy, plain: HttpPlainClient, lack: Lack, thorough: bool
) -> None:
    proxy.before, proxy.after = lack.before, lack.after
    report = await examine_store(behind, plain, thorough=thorough)
    assert {found.capability for found in report.broken} == lack.missing, report.broken
    assert all(lack.reason in found.reason for found in report.broken), report.broken
    assert not report.unknown
    assert await _left(behind) == []


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_error_that_may_pass_proves_nothing(
    behind: S3ObjectStore, proxy: AlteringProxy, plain: HttpPlainClient, status: int
) -> None:
    before = await examine_store(behind, plain, thorough=False)
    proxy.before = refuse(status, "GET", "PUT")
    report = await examine_store(behind, plain, thorough=False)
    assert report.unknown
    assert not any(report.works(capability) for capability in CLIENT_CAPABILITIES)
    merged = report.after(before)
    assert all(merged.works(capability) for capability in CLIENT_CAPABILITIES)
    assert await _left(behind) == []


async def test_a_public_url_that_does_not_respond(ceph: CephEndpoint, container: str, plain: HttpPlainClient) -> None:
    options = replace(ceph_options(ceph), public_endpoint_url="http://127.0.0.1:9")
    async with S3ObjectStore(container, ceph_credentials(ceph), options=options) as store:
        report = await examine_store(store, plain, thorough=False)
    assert {found.capability for found in report.broken} == set(CLIENT_CAPABILITIES)
    assert all("no response" in found.reason and "X-Amz" not in found.reason for found in report.broken)


async def test_one_lost_connection_proves_nothing(
    behind: S3ObjectStore, proxy: AlteringProxy, plain: HttpPlainClient
) -> None:
    seen: set[tuple[str, str]] = set()

    def drop_the_first(passing: Passing) -> None:
        request = (passing.method, passing.path_qs + passing.headers.get("Range", ""))
        passing.dropped = request not in seen
        seen.add(request)

    proxy.before = drop_the_first
    report = await examine_store(behind, plain, thorough=False)
    assert seen
    assert all(report.works(capability) for capability in CLIENT_CAPABILITIES), report.broken


@pytest.mark.parametrize("how", ["dropped", "refused with 503"])
async def test_an_outage_of_the_store_proves_nothing(
    through: S3ObjectStore, proxy: AlteringProxy, plain: HttpPlainClient, how: str
) -> None:
    """Clients lose their connections, and then the store itself does not respond either."""
    down = False

    def outage(passing: Passing) -> None:
        nonlocal down
        down = down or passing.presigned
        if down and (passing.presigned or how == "dropped"):
            passing.dropped = True
        elif down:
            passing.status = 503

    before = await examine_store(through, plain, thorough=False)
    proxy.before = outage
    report = await examine_store(through, plain, thorough=False)
    proxy.before = unchanged
    assert report.unknown
    assert not [found for found in report.broken if not found.transient]
    assert all(report.after(before).works(capability) for capability in CLIENT_CAPABILITIES)


def listing_is_empty(passing: Passing) -> None:
    if passing.method == "GET" and "list-type=2" in passing.path_qs:
        passing.response_body = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


def uploads_are_not_listed(passing: Passing) -> None:
    if passing.method == "GET" and "uploads" in passing.path_qs:
        passing.response_body = (
            b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        )


def parts_are_not_listed(passing: Passing) -> None:
    if passing.method == "GET" and "uploadId" in passing.path_qs:
        passing.response_body = b"<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>"


def delete_does_nothing(passing: Passing) -> None:
    if passing.method == "DELETE" and "uploadId" not in passing.path_qs:
        passing.status = 204


def joined_wrongly(passing: Passing) -> None:
    reads_object = passing.method == "GET" and "/joined" in passing.path_qs and "uploadId" not in passing.path_qs
    if reads_object and "list-type" not in passing.path_qs and passing.status == 200:
        passing.response_body = passing.response_body[:-64] + bytes(64)


OWN_LACKS = (
    Lack("Range is ignored", frozenset({C.RANGED_READ, *DOWNLOADS, C.SEGMENTS}), "ange", without_range),
    Lack("an empty listing", frozenset({C.LIST}), "does not appear in the listing", after=listing_is_empty),
    Lack("open uploads are not listed", frozenset({C.LIST}), "an open multipart upload", after=uploads_are_not_listed),
    Lack("parts are not listed", frozenset({C.PRESIGNED_PUT}), "does not have the segment", after=parts_are_not_listed),
    Lack(
        "joined wrongly",
        frozenset({C.SEGMENTS, C.PRESIGNED_GET_JOINED, C.PRESIGNED_GET_SEGMENT}),
        "returned other bytes",
        after=joined_wrongly,
    ),
    Lack("DELETE does nothing", frozenset({C.DELETE}), "still exists", delete_does_nothing),
)


@pytest.mark.parametrize("lack", OWN_LACKS, ids=lambda lack: lack.name)
async def test_what_sluice_itself_cannot_do_is_found_out(
    through: S3ObjectStore, proxy: AlteringProxy, plain: HttpPlainClient, lack: Lack
) -> None:
    proxy.before, proxy.after = lack.before, lack.after
    report = await examine_store(through, plain, thorough=True)
    assert {found.capability for found in report.broken} == lack.missing, report.broken
    assert any(lack.reason in found.reason for found in report.broken), report.broken
    if lack.name != "DELETE does nothing":
        proxy.before = proxy.after = unchanged
        assert await _left(through) == []


async def test_swift_without_tempurls_for_clients(
    swift: SwiftEndpoint, tempauth: TempAuth, container: str, plain: HttpPlainClient
) -> None:
    """A key is set, so that URLs could be made, but the server accepts none."""

    def before(passing: Passing) -> None:
        if passing.presigned:
            passing.status = 401

    async with AlteringProxy(swift.proxy_url) as proxy:
        proxy.before = before
        auth = replace(tempauth, public_url=proxy.url)
        clients = ClientAccess(TempUrlSigner("k ey"))
        async with SwiftObjectStore(auth, container, clients=clients) as store:
            report = await examine_store(store, plain, thorough=True)
            assert {found.capability for found in report.broken} == set(CLIENT_CAPABILITIES)
            assert report.works(C.SEGMENTS)
            assert await _left(store) == []


async def _left(store: Store) -> list[str]:
    return [name async for name in store.list_keys()]
