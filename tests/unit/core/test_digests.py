"""Digest fields: valid ones (RFC 9530, RFC 1864) and garbage."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.core.digests import LENGTHS, parse_content_digest, parse_content_md5
from pipeline.core.errors import RequestError
from pipeline.core.model import ClientDigest

pytestmark = pytest.mark.unit

HELLO = b"hello"
SHA256 = hashlib.sha256(HELLO).digest()
MD5 = hashlib.md5(HELLO, usedforsecurity=False).digest()


def member(algorithm: str, value: bytes) -> str:
    return f"{algorithm}=:{b64encode(value).decode()}:"


def test_one_digest() -> None:
    assert parse_content_digest(member("sha-256", SHA256)) == [ClientDigest("sha-256", SHA256)]


def test_several_digests_keep_their_order_and_unknown_ones_are_ignored() -> None:
    sha512 = hashlib.sha512(HELLO).digest()
    field = f"{member('sha-512', sha512)},{member('md5', MD5)} ,\t{member('sha-256', SHA256)}"
    assert parse_content_digest(field) == [ClientDigest("md5", MD5), ClientDigest("sha-256", SHA256)]


def test_content_md5() -> None:
    assert parse_content_md5(f" {b64encode(MD5).decode()} ") == ClientDigest("md5", MD5)


@pytest.mark.parametrize(
    "field",
    [
        "",
        ",",
        "sha-256",
        "sha-256=",
        "sha-256=::",
        f"sha-256={b64encode(SHA256).decode()}",
        f"sha-256=:{b64encode(SHA256).decode()}",
        f"SHA-256=:{b64encode(SHA256).decode()}:",
        f"sha-256=:{b64encode(SHA256).decode()[:-2]}:",
        f"sha-256=:={b64encode(SHA256).decode()}:",
        member("sha-256", SHA256[:-1]),
        member("md5", SHA256),
        member("crc32c", b"12345"),
        member("sha-512", hashlib.sha512(HELLO).digest()),
        f"{member('sha-256', SHA256)} garbage",
        f"{member('sha-256', SHA256)},",
        f"{member('sha-256', SHA256)};parameter",
        "sha-256=:ÄÖ==:",
    ],
)
def test_an_unusable_digest_is_refused(field: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_content_digest(field)
    assert refused.value.code == "DIGEST_NOT_SUPPORTED"
    assert "{" not in refused.value.message


@pytest.mark.parametrize("field", ["", "=", "====", "not base64", b64encode(SHA256).decode(), "AAAA", "Ä" * 24])
def test_an_invalid_md5_is_refused(field: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_content_md5(field)
    assert refused.value.code == "DIGEST_NOT_SUPPORTED"


near_misses = st.lists(
    st.sampled_from(["sha-256", "md5", "crc32c", "=", ":", ",", " ", "A", "AAAA", "==", ";", "\x00", "*", "ö", "٣"]),
    max_size=20,
).map("".join)


@given(field=st.text() | near_misses)
@example(field="md5=:AAAAAAAAAAAAAAAAAAAAA=:")
def test_garbage_is_refused_with_the_right_error(field: str) -> None:
    for parse in (parse_content_digest, parse_content_md5):
        try:
            found = parse(field)
        except RequestError as refused:
            assert refused.code == "DIGEST_NOT_SUPPORTED"  # noqa: PT017 -- raising is allowed, not required
        else:
            for digest in found if isinstance(found, list) else [found]:
                assert len(digest.value) == LENGTHS[digest.algorithm]


@given(values=st.lists(st.sampled_from(sorted(LENGTHS)), min_size=1, max_size=5), data=st.data())
def test_formatted_digests_are_parsed_back(values: list[str], data: st.DataObject) -> None:
    digests = [
        ClientDigest(name, data.draw(st.binary(min_size=LENGTHS[name], max_size=LENGTHS[name]))) for name in values
    ]
    field = data.draw(st.sampled_from([",", ", ", " ,\t"])).join(member(one.algorithm, one.value) for one in digests)
    assert parse_content_digest(field) == digests
