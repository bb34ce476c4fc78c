"""S3 only: parts are sent with a CRC-32C where the store compares it, which it has to prove."""

from __future__ import annotations

from collections.abc import AsyncIterator

import google_crc32c
import pytest

from deploy.embedded.endpoints import SwiftEndpoint
from pipeline.adapters.object_store.s3 import S3ObjectStore
from pipeline.adapters.object_store.s3.checksums import crc32c_text, object_crc32c
from pipeline.core.errors import DigestRefused
from tests.contract.object_store.conftest import ceph_credentials, ceph_options, s3_credentials, s3_options
from tests.contract.object_store.uploads import MemorySource, Scenario, content, some_bytes
from tests.harness.ceph import CephEndpoint
from tests.harness.faults.altering_proxy import AlteringProxy, Passing

pytestmark = pytest.mark.contract


@pytest.fixture
async def swift_s3(container: str, swift: SwiftEndpoint) -> AsyncIterator[S3ObjectStore]:
    """Swift's S3 API compares a CRC-32C."""
    async with S3ObjectStore(container, s3_credentials(swift), options=s3_options(swift)) as store:
        yield store


@pytest.fixture
async def rgw(container: str, ceph: CephEndpoint) -> AsyncIterator[S3ObjectStore]:
    """Ceph 16 ignores it."""
    async with S3ObjectStore(container, ceph_credentials(ceph), options=ceph_options(ceph)) as store:
        yield store


async def test_a_store_that_compares_it_is_trusted_after_the_first_part(swift_s3: S3ObjectStore) -> None:
    upload = Scenario(swift_s3)
    await upload.begin()
    assert not swift_s3._checksums.trusted
    stored = await upload.put(1)
    assert swift_s3._checksums.trusted
    stored += await upload.put(2, 3)
    sealed = await swift_s3.seal(upload.target, stored)
    assert await content(swift_s3, sealed.key) == upload.data


async def test_other_bytes_than_those_of_the_crc32c_are_refused(swift_s3: S3ObjectStore) -> None:
    upload = Scenario(swift_s3)
    await upload.begin()
    await upload.put(1)
    changed = MemorySource(2, some_bytes(upload.sizes[1], seed=7))
    changed.crc32c = upload.source(2).crc32c
    with pytest.raises(DigestRefused):
        await swift_s3.put_segment(upload.target, changed)
    stored = await upload.put()
    sealed = await swift_s3.seal(upload.target, stored)
    assert await content(swift_s3, sealed.key) == upload.data


async def test_a_store_that_ignores_it_is_verified_by_its_etags(rgw: S3ObjectStore) -> None:
    upload = Scenario(rgw)
    stored = await upload.sealed()
    assert not rgw._checksums.trusted
    assert await content(rgw, stored.key) == upload.data


async def test_parts_that_are_sent_at_once_do_not_wait_for_the_first(swift_s3: S3ObjectStore) -> None:
    smallest = 5 * 1024 * 1024
    upload = Scenario(swift_s3, sizes=(smallest, smallest, smallest, 1000))
    await upload.begin()
    stored = await upload.put_concurrently()
    sealed = await swift_s3.seal(upload.target, stored)
    assert await content(swift_s3, sealed.key) == upload.data
    assert swift_s3._checksums.trusted


async def test_a_store_that_no_longer_takes_it_gets_parts_without_it(swift_s3: S3ObjectStore) -> None:
    upload = Scenario(swift_s3)
    await upload.begin()
    await upload.put(1)
    swift_s3._checksums.withdraw()
    stored = await upload.put()
    sealed = await swift_s3.seal(upload.target, stored)
    assert await content(swift_s3, sealed.key) == upload.data


async def test_a_kept_crc32c_of_a_whole_object_is_read(through: S3ObjectStore, proxy: AlteringProxy) -> None:
    """Neither Ceph 16 nor Swift's S3 API returns one, so the proxy adds what Amazon does, where it is asked for."""
    data = some_bytes(1000)
    await through.put_object("video", data, "video/mp4")
    assert (await through.head("video")).crc32c is None

    def keep(passing: Passing) -> None:
        if passing.method == "HEAD" and passing.headers.get("x-amz-checksum-mode") == "ENABLED":
            passing.response_headers["x-amz-checksum-crc32c"] = crc32c_text(google_crc32c.value(data))
            passing.response_headers["x-amz-checksum-type"] = "FULL_OBJECT"

    proxy.after = keep
    assert (await through.head("video")).crc32c == google_crc32c.value(data)


async def test_a_checksum_of_checksums_is_none_of_the_bytes(swift_s3: S3ObjectStore, rgw: S3ObjectStore) -> None:
    """Swift's S3 API joins those of the parts."""
    for store in (swift_s3, rgw):
        upload = Scenario(store)
        sealed = await upload.sealed()
        kept = (await store.head(sealed.key)).crc32c
        assert kept in (None, google_crc32c.value(upload.data))


@pytest.mark.parametrize(
    ("response", "etag", "expected"),
    [
        ({"ChecksumCRC32C": "4waSgw==", "ChecksumType": "FULL_OBJECT"}, "e-2", 0xE3069283),
        ({"ChecksumCRC32C": "4waSgw==", "ChecksumType": "COMPOSITE"}, "e-2", None),
        ({"ChecksumCRC32C": "4waSgw==-2", "ChecksumType": "COMPOSITE"}, "e-2", None),
        ({"ChecksumCRC32C": "4waSgw=="}, "e-2", None),
        ({"ChecksumCRC32C": "4waSgw=="}, "e", 0xE3069283),
        ({"ChecksumCRC32C": "4waSgw==-2"}, "e", None),
        ({"ChecksumCRC32C": "AAAA"}, "e", None),
        ({"ChecksumCRC32C": "ä"}, "e", None),
        ({"ChecksumCRC64NVME": "AAAAAAAAAAA=", "ChecksumType": "FULL_OBJECT"}, "e", None),
        ({}, "e", None),
    ],
)
def test_what_counts_as_the_crc32c_of_a_whole_object(response: dict[str, str], etag: str, expected: int | None) -> None:
    assert object_crc32c(response, etag) == expected
