"""Digest headers: parsed or refused, one digest per algorithm."""

from __future__ import annotations

import base64
import hashlib

import pytest

from gateway.http.digests import announced
from pipeline.core.errors import RequestError
from pipeline.core.model import ClientDigest

pytestmark = pytest.mark.unit

MD5 = hashlib.md5(b"x", usedforsecurity=False).digest()
SHA256 = hashlib.sha256(b"x").digest()


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def test_both_headers_are_returned() -> None:
    found = announced(b64(MD5), [f"sha-256=:{b64(SHA256)}:"])
    assert sorted(found, key=lambda item: item.algorithm) == [ClientDigest("md5", MD5), ClientDigest("sha-256", SHA256)]


def test_no_header_means_no_digest() -> None:
    assert announced(None, []) == []


def test_lines_form_one_dictionary_and_unknown_algorithms_are_ignored() -> None:
    assert announced(None, ["sha-512=:AAAA:", f"sha-256=:{b64(SHA256)}:"]) == [ClientDigest("sha-256", SHA256)]


def test_a_thousand_digests_of_one_algorithm_become_one() -> None:
    line = ", ".join([f"sha-256=:{b64(bytes(32))}:"] * 999 + [f"sha-256=:{b64(SHA256)}:"])
    assert announced(None, [line]) == [ClientDigest("sha-256", SHA256)]


def test_the_same_md5_in_both_headers_becomes_one() -> None:
    assert announced(b64(MD5), [f"md5=:{b64(MD5)}:"]) == [ClientDigest("md5", MD5)]


@pytest.mark.parametrize(
    ("md5", "digest"),
    [
        ("", []),
        ("not base64", []),
        (b64(MD5[:15]), []),
        (None, [""]),
        (None, ["sha-256"]),
        (None, [f"sha-256={b64(SHA256)}"]),
        (None, [f"sha-256=:{b64(SHA256)}"]),
        (None, [f"sha-256=:{b64(SHA256[:31])}:"]),
        (None, [f"sha-256=:{b64(SHA256)}:,"]),
        (None, ["sha-512=:AAAA:"]),
        (b64(MD5), [f"md5=:{b64(bytes(16))}:"]),
    ],
)
def test_a_digest_that_cannot_be_verified_is_refused(md5: str | None, digest: list[str]) -> None:
    with pytest.raises(RequestError) as caught:
        announced(md5, digest)
    assert caught.value.code == "DIGEST_NOT_SUPPORTED"
