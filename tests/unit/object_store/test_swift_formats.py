"""Names, manifests, catalogues and capabilities in the formats of Swift and Keystone."""

from __future__ import annotations

import json

import pytest

from pipeline.adapters.object_store.integrity import check_segments, etag_of_etags, md5_hex
from pipeline.adapters.object_store.limits import S3_LIMITS, SWIFT_LIMITS
from pipeline.adapters.object_store.names import multipart_name, split_multipart
from pipeline.adapters.object_store.swift.account import info_urls, public_account
from pipeline.adapters.object_store.swift.info import MAX_SEGMENTS, parse_info
from pipeline.adapters.object_store.swift.keystone import Endpoint, _lifetime_seconds, _public_url, _storage_url
from pipeline.adapters.object_store.swift.layout import SwiftLayout, account_url
from pipeline.adapters.object_store.swift.manifest import manifest_json, parse_response, raise_unless_sealed
from pipeline.core.errors import StoreError, StoreUnavailable, StoreUnsupported
from pipeline.core.segments import SegmentPlan, StoreLimits
from pipeline.core.stored_objects import ObjectTarget, StoredSegment

pytestmark = pytest.mark.unit

LAYOUT = SwiftLayout("c")
TARGET = ObjectTarget("up load", "k", "video/mp4", SegmentPlan(25, 10))
SEGMENTS = [StoredSegment(1, 10, "a" * 32), StoredSegment(2, 10, "b" * 32), StoredSegment(3, 5, "c" * 32)]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("contents/a/original", "/c/contents/a/original"),
        ("ü ?#%", "/c/%C3%BC%20%3F%23%25"),
        ("../x", "/c/../x"),
        ("a//b", "/c/a//b"),
        ("%41", "/c/%2541"),
    ],
)
def test_a_key_becomes_a_path_byte_for_byte(key: str, path: str) -> None:
    assert LAYOUT.object_path(key) == path
    assert account_url("http://h/v1/a", path).raw_path_qs == "/v1/a" + path


def test_a_query_is_encoded() -> None:
    url = account_url("http://h/v1/a", "/c", {"prefix": "a b&c=ü", "marker": "x/y"})
    assert url.raw_query_string == "prefix=a%20b%26c%3D%C3%BC&marker=x%2Fy"


@pytest.mark.parametrize("container", ["", "a/b", "x" * 250])
def test_an_impossible_container_name_is_refused(container: str) -> None:
    with pytest.raises(StoreError):
        SwiftLayout(container)


@pytest.mark.parametrize("key", ["", "x" * 1025, "ü" * 513])
def test_an_impossible_key_is_refused(key: str) -> None:
    with pytest.raises(StoreError):
        LAYOUT.object_path(key)


def test_a_manifest_names_every_segment_with_length_and_digest() -> None:
    assert json.loads(manifest_json(LAYOUT, TARGET, SEGMENTS))[2] == {
        "path": "/c_segments/up load/00000003",
        "etag": "c" * 32,
        "size_bytes": 5,
    }


@pytest.mark.parametrize(
    ("segments", "wrong"),
    [([], [1, 2, 3]), (SEGMENTS[:2], [3]), (SEGMENTS[::-1], [1, 3]), ([*SEGMENTS, SEGMENTS[2]], [])],
)
def test_segments_that_differ_from_the_plan_are_refused(segments: list[StoredSegment], wrong: list[int]) -> None:
    with pytest.raises(StoreError) as refused:
        check_segments(TARGET, segments)
    assert (refused.value.code, refused.value.detail["segments"]) == ("MANIFEST_REFUSED", wrong)


def test_the_error_names_the_refused_segments() -> None:
    refusal = {
        "Response Status": "400 Bad Request",
        "Errors": [
            ["/c_segments/up%20load/00000003", "404 Not Found"],
            ["/c_segments/up%20load/00000001", "Etag Mismatch"],
        ],
    }
    response = parse_response(202, "", b"  \r\n\r\n" + json.dumps(refusal).encode())
    with pytest.raises(StoreError) as refused:
        raise_unless_sealed(response, LAYOUT, TARGET, SEGMENTS)
    assert refused.value.code == "MANIFEST_REFUSED"
    assert refused.value.detail["segments"] == [1, 3]
    assert "404 Not Found" in refused.value.message


def test_the_etag_of_a_stored_manifest_is_compared() -> None:
    etag = etag_of_etags(SEGMENTS)
    body = json.dumps({"Response Status": "201 Created", "Etag": f'"{etag}"', "Errors": []}).encode()
    raise_unless_sealed(parse_response(202, "", body), LAYOUT, TARGET, SEGMENTS)
    raise_unless_sealed(parse_response(201, f'"{etag}"', b""), LAYOUT, TARGET, SEGMENTS)
    with pytest.raises(StoreUnavailable):
        raise_unless_sealed(parse_response(201, '"abd"', b""), LAYOUT, TARGET, SEGMENTS)


def test_a_manifest_that_was_stored_as_a_file_is_never_repeated() -> None:
    """A server without static large objects stores the JSON, and would do so for twelve hours."""
    etag = md5_hex(manifest_json(LAYOUT, TARGET, SEGMENTS))
    with pytest.raises(StoreUnsupported) as refused:
        raise_unless_sealed(parse_response(201, etag, b""), LAYOUT, TARGET, SEGMENTS)
    assert (refused.value.code, refused.value.retryable) == ("STORE_REJECTED", False)


CATALOG = {
    "catalog": [
        {"type": "identity", "endpoints": []},
        {
            "type": "object-store",
            "endpoints": [
                {"interface": "admin", "region_id": "one", "url": "http://admin/"},
                {"interface": "public", "region_id": "one", "url": "http://one/v1/AUTH_p/"},
                {"interface": "public", "region_id": "two", "url": "http://two/v1/AUTH_p"},
            ],
        },
    ]
}


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (Endpoint(), "http://one/v1/AUTH_p"),
        (Endpoint(region="two"), "http://two/v1/AUTH_p"),
        (Endpoint(interface="admin"), "http://admin"),
    ],
)
def test_the_catalogue_is_searched_by_region_and_interface(endpoint: Endpoint, url: str) -> None:
    assert _storage_url(CATALOG, endpoint) == url


def test_clients_use_the_public_endpoint_of_our_region() -> None:
    assert _public_url(CATALOG, Endpoint(interface="admin")) == "http://one/v1/AUTH_p"
    assert _public_url(CATALOG, Endpoint(interface="admin", region="two")) == "http://two/v1/AUTH_p"
    assert _public_url(CATALOG, Endpoint()) == ""
    assert _public_url({}, Endpoint(interface="internal")) == ""


def test_a_public_url_gets_the_account_of_the_login() -> None:
    assert public_account("", "http://in/v1/AUTH_p") == ""
    assert public_account("https://out/", "http://in:8080/v1/AUTH_p/") == "https://out/v1/AUTH_p"
    assert public_account("https://out/swift", "http://in/object-store/v1/AUTH_p") == "https://out/swift/v1/AUTH_p"
    assert public_account("https://out/", "http://in:8080/swift/v1") == "https://out/v1"
    assert public_account("https://out/swift", "http://in:8080/swift/v1") == "https://out/swift/v1"
    assert public_account("https://out/swift/v1/", "http://in:8080/swift/v1") == "https://out/swift/v1"
    assert public_account("https://out/swift/v1", "http://in/v1/AUTH_p") == "https://out/swift/v1/AUTH_p"
    assert public_account("https://out/v1/AUTH_p", "http://in/v1/AUTH_p") == "https://out/v1/AUTH_p"
    assert public_account("https://out", "http://in/AUTH_p") == "https://out/AUTH_p"


def test_a_catalogue_without_an_object_store_is_reported() -> None:
    for token, endpoint in ((CATALOG, Endpoint(region="three")), ({}, Endpoint())):
        with pytest.raises(StoreError, match="no public object-store"):
            _storage_url(token, endpoint)


def test_a_lifetime_is_computed_from_the_server_s_clock() -> None:
    token = {"issued_at": "2001-01-01T00:00:00.000000Z", "expires_at": "2001-01-01T01:00:00.000000Z"}
    assert _lifetime_seconds(token) == 3600
    assert _lifetime_seconds({"expires_at": None}) is None


@pytest.mark.parametrize(
    ("storage_url", "urls"),
    [
        ("http://h:8080/v1/AUTH_a", ["http://h:8080/info"]),
        ("https://lb/swift/v1/AUTH_a", ["https://lb/swift/info", "https://lb/info"]),
        ("https://rgw/swift/v1", ["https://rgw/swift/info", "https://rgw/info"]),
        ("https://lb/a/b/v1/AUTH_a/", ["https://lb/a/b/info", "https://lb/a/info", "https://lb/info"]),
        ("https://h/elsewhere", ["https://h/elsewhere/info", "https://h/info"]),
    ],
)
def test_info_is_beside_v1_or_below_a_shorter_prefix(storage_url: str, urls: list[str]) -> None:
    assert info_urls(storage_url) == urls


@pytest.mark.parametrize(
    ("tempurl", "digests"),
    [
        (None, None),  # hidden (`disallowed_sections`), or TempURLs are off
        ({"methods": ["GET"]}, {"sha1"}),
        ({"methods": ["GET"], "allowed_digests": ["sha256", "sha512"]}, {"sha256", "sha512"}),
        ({"allowed_digests": []}, set()),
        ({"allowed_digests": "sha256"}, {"sha1"}),
        ("on", None),
    ],
)
def test_info_names_the_digests_of_tempurls(tempurl: object, digests: set[str] | None) -> None:
    found = parse_info(json.dumps({"swift": {}, "tempurl": tempurl}).encode())
    assert found is not None
    assert found.tempurl_digests == digests


def info(slo: object = None, **swift: object) -> StoreLimits | None:
    found = parse_info(json.dumps({"slo": slo or {}, "swift": swift}).encode())
    return found.limits if found else None


def test_limits_come_from_info() -> None:
    slo = {"max_manifest_segments": 50, "min_segment_size": 2}
    assert info(slo, max_file_size=100) == StoreLimits(50, 2, 100, 5000)
    assert info() == SWIFT_LIMITS


@pytest.mark.parametrize("nonsense", [0, -1, "50", "", None, True, 1.5, [], {}])
def test_a_nonsensical_limit_is_replaced_by_its_preset(nonsense: object) -> None:
    slo = {"max_manifest_segments": nonsense, "min_segment_size": nonsense}
    assert info(slo, max_file_size=nonsense) == SWIFT_LIMITS
    assert info(nonsense) == SWIFT_LIMITS
    assert info({"max_manifest_segments": 7}, max_file_size=nonsense) == StoreLimits(
        7, 1, SWIFT_LIMITS.max_segment_bytes, 7 * SWIFT_LIMITS.max_segment_bytes
    )


def test_limits_that_contradict_each_other_are_ignored() -> None:
    assert info({"min_segment_size": 200}, max_file_size=100) is None


def test_limits_are_capped() -> None:
    limits = info({"max_manifest_segments": 10**9}, max_file_size=10**18)
    assert limits is not None
    assert (limits.max_segments, limits.max_object_bytes) == (MAX_SEGMENTS, SWIFT_LIMITS.max_object_bytes)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"1", b"\xff", b'{"slo": {"max_manifest_segments": 5}}'])
def test_a_body_that_is_not_swift_s_has_no_limits(body: bytes) -> None:
    assert parse_info(body) is None


def test_presets() -> None:
    assert (SWIFT_LIMITS.max_segments, SWIFT_LIMITS.min_segment_bytes) == (1000, 1)
    assert (S3_LIMITS.max_segments, S3_LIMITS.min_segment_bytes) == (10_000, 5 * 1024**2)


@pytest.mark.parametrize("key", ["a", "a:b", "multipart:", "x/y:z"])
def test_a_multipart_name_is_split_at_its_last_colon(key: str) -> None:
    assert split_multipart(multipart_name(key, "Session-1")) == (key, "Session-1")
