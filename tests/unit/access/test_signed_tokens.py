"""Tokens that Sluice signs: what is accepted, and what is not."""

from __future__ import annotations

import base64

import jwt
import pytest

from pipeline.adapters.tokens.signed import JwtSignedTokens
from pipeline.core.access import TokenKind
from pipeline.core.errors import AccessError

pytestmark = pytest.mark.unit

OLD, NEW = "o" * 32, "n" * 32


def code_of(tokens: JwtSignedTokens, kind: TokenKind, token: str) -> str:
    with pytest.raises(AccessError) as error:
        tokens.read(kind, token)
    return error.value.code


@pytest.mark.parametrize("kind", TokenKind)
def test_a_token_is_read_as_its_own_kind_only(kind: TokenKind) -> None:
    tokens = JwtSignedTokens([NEW])
    token = tokens.issue(kind, {"sub": "alice"}, 60)
    assert tokens.kind_of(token) is kind
    assert tokens.read(kind, token)["sub"] == "alice"
    for other in set(TokenKind) - {kind}:
        assert code_of(tokens, other, token) == "CREDENTIAL_INVALID"


def test_a_header_that_names_another_kind_does_not_help() -> None:
    """Each kind has a key of its own."""
    tokens = JwtSignedTokens([NEW])
    ticket = tokens.issue(TokenKind.TICKET, {"sub": "alice", "upload": "1"}, 60)
    _, payload, signature = ticket.split(".")
    wanted = tokens.issue(TokenKind.UPLOAD, {}, 60).split(".")[0]
    assert tokens.kind_of(f"{wanted}.{payload}.{signature}") is TokenKind.UPLOAD
    assert code_of(tokens, TokenKind.UPLOAD, f"{wanted}.{payload}.{signature}") == "CREDENTIAL_INVALID"


@pytest.mark.parametrize("kind", [["sluice-upload"], {"sluice-upload": 1}, 7, None, "JWT"])
def test_a_header_with_another_type_is_of_no_kind(kind: object) -> None:
    token = jwt.encode({"exp": 2**33}, "x" * 32, "HS256", headers={"typ": kind})
    assert JwtSignedTokens([NEW]).kind_of(token) is None


@pytest.mark.parametrize("text", ["", "a.b.c", "é.a.b", "\udcff.a.b", "x" * 5000])
def test_text_that_is_no_token_is_of_no_kind(text: str) -> None:
    assert JwtSignedTokens([NEW]).kind_of(text) is None
    assert code_of(JwtSignedTokens([NEW]), TokenKind.UPLOAD, text) == "CREDENTIAL_INVALID"


def test_a_secret_is_replaced_while_tokens_are_in_use() -> None:
    before = JwtSignedTokens([OLD])
    both = JwtSignedTokens([NEW, OLD])
    after = JwtSignedTokens([NEW])
    old = before.issue(TokenKind.LINK, {}, 60)
    assert both.read(TokenKind.LINK, old)
    assert code_of(after, TokenKind.LINK, old) == "CREDENTIAL_INVALID"
    assert after.read(TokenKind.LINK, both.issue(TokenKind.LINK, {}, 60))
    assert code_of(before, TokenKind.LINK, both.issue(TokenKind.LINK, {}, 60)) == "CREDENTIAL_INVALID"


def test_an_expired_token_says_so() -> None:
    tokens = JwtSignedTokens([NEW])
    assert code_of(tokens, TokenKind.UPLOAD, tokens.issue(TokenKind.UPLOAD, {}, -60)) == "CREDENTIAL_EXPIRED"


def test_a_token_without_an_expiry_or_without_a_signature_is_refused() -> None:
    tokens = JwtSignedTokens([NEW])
    name = jwt.get_unverified_header(tokens.issue(TokenKind.UPLOAD, {}, 60))["kid"]
    headers = {"typ": str(TokenKind.UPLOAD), "kid": name}
    unsigned = jwt.encode({"exp": 2**33}, "", "none", headers=headers)
    assert code_of(tokens, TokenKind.UPLOAD, unsigned) == "CREDENTIAL_INVALID"
    endless = jwt.encode({"sub": "alice"}, tokens._keys[TokenKind.UPLOAD][0], "HS256", headers=headers)
    assert code_of(tokens, TokenKind.UPLOAD, endless) == "CREDENTIAL_INVALID"


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "sluice_", "x" * 10_000, "\x00", "eyJ9.e30."])
def test_text_that_is_no_token_is_none_of_ours(text: str) -> None:
    assert JwtSignedTokens([NEW]).kind_of(text) is None
    assert code_of(JwtSignedTokens([NEW]), TokenKind.UPLOAD, text) == "CREDENTIAL_INVALID"


@pytest.mark.parametrize("kind", ["[]", '{"upload": 1}', "null", "1", "true", '"UPLOAD"'])
def test_a_kind_that_is_no_name_is_none_of_ours(kind: str) -> None:
    """Anybody may send such a header: it is no reason for a crash."""
    header = base64.urlsafe_b64encode(f'{{"alg":"HS256","typ":{kind}}}'.encode()).decode().rstrip("=")
    assert JwtSignedTokens([NEW]).kind_of(f"{header}.e30.AAAA") is None
    assert code_of(JwtSignedTokens([NEW]), TokenKind.UPLOAD, f"{header}.e30.AAAA") == "CREDENTIAL_INVALID"
