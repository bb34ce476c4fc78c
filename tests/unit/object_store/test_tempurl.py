"""TempURLs against a copy of the middleware's rule: `TempURL.__call__`, `get_hmac` and `extract_digest_and_algorithm`
of Swift 2.38. The contract suite checks them against Swift itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import get_args
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from pipeline.adapters.object_store.swift.layout import SwiftLayout
from pipeline.adapters.object_store.swift.tempurl import TempUrlDigest, TempUrlMethod, TempUrlSigner
from pipeline.core.errors import StoreError

pytestmark = pytest.mark.unit

ACCOUNT = "https://swift.example/v1/AUTH_a"
NAMES = ("plain", "contents/0198/original", "a b+c%2F#?&=;", "ünï/𝄞.mp4", "..//.", "'\"\\\n")


ALL_DIGESTS = get_args(TempUrlDigest)


def allowed_by_swift(url: str, method: str, key: str, allowed: tuple[str, ...] = ALL_DIGESTS) -> bool:
    """Whether the middleware allows a request, whose path its WSGI server has unquoted."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    signature = query["temp_url_sig"]
    if ":" in signature:
        algorithm, encoded = signature.split(":", 1)
        signature = base64.urlsafe_b64decode(encoded + "==").hex()
    else:
        algorithm = {40: "sha1", 64: "sha256"}[len(signature)]
    if algorithm not in allowed:
        return False
    _, version, account, container, name = unquote(parts.path).split("/", 4)
    if version != "v1":
        return False
    signed = f"/v1/{account}/{container}/{name}"
    prefix = query.get("temp_url_prefix")
    if prefix is not None:
        if not name.startswith(prefix):
            return False
        signed = f"prefix:/v1/{account}/{container}/{prefix}"
    message = f"{method}\n{int(query['temp_url_expires'])}\n{signed}".encode()
    return hmac.compare_digest(hmac.new(key.encode(), message, algorithm).hexdigest(), signature)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("digest", get_args(TempUrlDigest))
def test_a_tempurl_is_accepted_for_its_own_method_and_object_only(name: str, digest: TempUrlDigest) -> None:
    path = SwiftLayout("c o").object_path(name)
    for method in get_args(TempUrlMethod):
        url = TempUrlSigner("k€y", digest).sign(ACCOUNT, path, method=method, expires_at=1_900_000_000)
        assert allowed_by_swift(url, method, "k€y")
        assert not allowed_by_swift(url, method, "another")
        assert not any(allowed_by_swift(url, other, "k€y") for other in get_args(TempUrlMethod) if other != method)
        changed = SwiftLayout("c o").object_path(name + "x")
        assert not allowed_by_swift(url.replace(f"{path}?", f"{changed}?"), method, "k€y")


def test_the_documentation_s_own_example() -> None:
    """Path, expiry and key from the middleware's docstring; the digest as its code computes it."""
    url = TempUrlSigner("mykey").sign(ACCOUNT, "/container/object", method="GET", expires_at=1512508563)
    body = b"GET\n1512508563\n/v1/AUTH_a/container/object"
    expected = hmac.new(b"mykey", body, hashlib.sha256).hexdigest()
    assert url == f"{ACCOUNT}/container/object?temp_url_sig={expected}&temp_url_expires=1512508563"


@pytest.mark.parametrize("prefix", ["", "0198", "0198/", "0198/0000 ü"])
def test_a_prefix_opens_the_objects_under_it_and_nothing_else(prefix: str) -> None:
    layout = SwiftLayout("c")
    signer = TempUrlSigner("key")
    path = layout.object_path(f"{prefix}7")
    url = signer.sign(ACCOUNT, path, method="PUT", expires_at=1_900_000_000, prefix=prefix)
    assert allowed_by_swift(url, "PUT", "key")
    assert allowed_by_swift(url.replace(f"{path}?", f"{layout.object_path(prefix + '8')}?"), "PUT", "key")
    if prefix:
        assert not allowed_by_swift(url.replace(f"{path}?", f"{layout.object_path('other')}?"), "PUT", "key")
        with pytest.raises(StoreError):
            signer.sign(ACCOUNT, "/c/other", method="PUT", expires_at=1, prefix=prefix)


@pytest.mark.parametrize("filename", ["a.mp4", 'Ünï "x" & y; +%.mp4', "日本語.mov"])
@pytest.mark.parametrize("inline", [True, False])
def test_file_name_and_disposition_arrive_unchanged(filename: str, inline: bool) -> None:
    url = TempUrlSigner("key").sign(
        ACCOUNT, "/c/o", method="GET", expires_at=1_900_000_000, filename=filename, inline=inline
    )
    query = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert query["filename"] == [filename]
    assert ("inline" in query) == inline
    assert allowed_by_swift(url, "GET", "key")


def test_a_prefix_before_v1_is_not_signed() -> None:
    url = TempUrlSigner("key").sign("https://lb.example/swift/v1/AUTH_a/", "/c/o", method="GET", expires_at=2)
    assert url.startswith("https://lb.example/swift/v1/AUTH_a/c/o?temp_url_sig=")
    assert allowed_by_swift(url.replace("/swift/v1/", "/v1/"), "GET", "key")


def allowed_by_ceph(url: str, method: str, key: str, entry_point: str) -> bool:
    """`TempURLEngine::authenticate` of Ceph 16: SHA-1 over the decoded path, whole or without the entry point
    (`rgw_swift_url_prefix`)."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    path = unquote(parts.path)
    for signed in (path, path[len(entry_point.rstrip("/")) + 1 :]):
        message = f"{method}\n{query['temp_url_expires'][0]}\n{signed}".encode()
        if hmac.compare_digest(hmac.new(key.encode(), message, "sha1").hexdigest(), query["temp_url_sig"][0]):
            return True
    return False


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("storage_url", "entry_point"),
    [
        ("http://h:7480/swift/v1", "swift"),
        ("http://h:7480/swift/v1/", "swift"),
        ("http://h/v1", "/"),
        ("http://h/a/b/v1", "a/b"),
        ("http://h/swift/v1/AUTH_a", "swift"),
    ],
)
def test_ceph_accepts_the_path_with_and_without_an_account(storage_url: str, entry_point: str, name: str) -> None:
    path = SwiftLayout("c o").object_path(name)
    for method in ("GET", "PUT"):
        url = TempUrlSigner("k€y", "sha1").sign(storage_url, path, method=method, expires_at=1_900_000_000)
        assert allowed_by_ceph(url, method, "k€y", entry_point)
        assert not allowed_by_ceph(url, method, "another", entry_point)
        assert not allowed_by_ceph(url, "DELETE", "k€y", entry_point)


@pytest.mark.parametrize(
    ("configured", "allowed", "used"),
    [
        ("sha256", None, "sha256"),
        ("sha256", {"sha1", "sha256", "sha512"}, "sha256"),
        ("sha256", {"sha512"}, "sha512"),
        ("sha256", {"sha1"}, None),
        ("sha256", set(), None),
        ("sha512", {"sha1", "sha256"}, "sha256"),
        ("sha512", {"sha1"}, None),
        ("sha1", None, "sha1"),
        ("sha1", {"sha1"}, "sha1"),
        ("sha1", {"sha1", "sha512"}, "sha512"),
        ("sha1", {"sha256", "sha512"}, "sha256"),
        ("sha1", {"md5"}, None),
    ],
)
def test_a_digest_is_chosen_that_the_cluster_allows(
    configured: TempUrlDigest, allowed: set[str] | None, used: TempUrlDigest | None
) -> None:
    signer = TempUrlSigner("key", configured).allowed_by(None if allowed is None else frozenset(allowed))
    assert (signer and signer.digest) == used


@pytest.mark.parametrize(
    "storage_url", ["https://h", "https://h/swift", "https://h/swift/AUTH_a", "https://h/v2/AUTH_a"]
)
def test_a_storage_url_without_v1_cannot_be_signed(storage_url: str) -> None:
    with pytest.raises(StoreError) as caught:
        TempUrlSigner("key").sign(storage_url, "/c/o", method="GET", expires_at=2)
    assert caught.value.code == "STORE_REJECTED"


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(TempUrlSigner("secret"))
