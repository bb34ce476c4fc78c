"""Tokens of an identity provider: each algorithm, each claim, and the attacks of RFC 8725."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pipeline.adapters.tokens.issued import IssuerRules, JwtIssuedTokens
from pipeline.adapters.tokens.jwks import Jwks
from pipeline.adapters.tokens.verifying_keys import from_jwk, from_pem
from pipeline.core.access import Scope
from pipeline.core.errors import AccessError, DependencyUnavailable, SluiceError, StoreUnavailable
from pipeline.ports import PlainResponse

pytestmark = pytest.mark.unit

RULES = IssuerRules("https://id.example", "sluice")
SECRET = "s" * 32
KEYS: Mapping[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def claims(**more: Any) -> dict[str, Any]:
    found = {
        "iss": RULES.issuer,
        "aud": RULES.audience,
        "sub": "alice",
        "exp": time.time() + 60,
        "scope": "upload read",
    }
    return {name: value for name, value in (found | more).items() if value is not None}


def another(algorithm: str) -> Any:
    """A key for this algorithm that is none of KEYS."""
    match algorithm:
        case "RS256":
            return rsa.generate_private_key(65537, 2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def pem(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def jwk(algorithm: str, key: Any, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key()))
    return made | more


async def refused(tokens: JwtIssuedTokens, token: str) -> str:
    with pytest.raises(SluiceError) as error:
        await tokens.caller(token)
    return error.value.code


@pytest.mark.parametrize("algorithm", KEYS)
async def test_each_algorithm_with_a_key_of_the_settings(algorithm: str) -> None:
    tokens = JwtIssuedTokens(RULES, keys=[from_pem(pem(KEYS[algorithm]))])
    caller = await tokens.caller(jwt.encode(claims(), KEYS[algorithm], algorithm))
    assert (caller.owner, caller.scopes) == ("alice", frozenset({Scope.UPLOAD, Scope.READ}))
    assert caller.credential == "jwt:https://id.example"
    assert caller.expires_at == pytest.approx(time.time() + 60, abs=5)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_two_keys_of_the_settings_while_one_replaces_the_other(algorithm: str) -> None:
    old, new = KEYS[algorithm], another(algorithm)
    tokens = JwtIssuedTokens(RULES, keys=[from_pem(pem(old)), from_pem(pem(new))])
    for key in (old, new):
        assert (await tokens.caller(jwt.encode(claims(), key, algorithm))).owner == "alice"
    expired = jwt.encode(claims(exp=1), new, algorithm)
    assert await refused(tokens, expired) == "CREDENTIAL_EXPIRED"
    assert await refused(tokens, jwt.encode(claims(), another(algorithm), algorithm)) == "CREDENTIAL_INVALID"


async def test_keys_of_the_settings_beside_published_ones() -> None:
    provider = _Provider()
    published = another("ES256")
    provider.keys = [jwk("ES256", published, kid="1")]
    tokens = JwtIssuedTokens(RULES, keys=[from_pem(pem(KEYS["ES256"]))], jwks=Jwks(provider, "https://id.example/keys"))
    assert (await tokens.caller(signed("ES256", KEYS["ES256"], None))).owner == "alice"
    assert provider.fetches == 0
    assert (await tokens.caller(signed("ES256", published, "1"))).owner == "alice"


async def test_hs256_with_a_secret() -> None:
    tokens = JwtIssuedTokens(RULES, secret=SECRET)
    assert (await tokens.caller(jwt.encode(claims(), SECRET, "HS256"))).owner == "alice"
    assert await refused(tokens, jwt.encode(claims(), "x" * 32, "HS256")) == "CREDENTIAL_INVALID"


async def test_an_expiry_in_digits_is_a_number() -> None:
    token = jwt.encode(claims(exp=str(2**33)), SECRET, "HS256")
    assert (await JwtIssuedTokens(RULES, secret=SECRET).caller(token)).expires_at == 2**33


async def test_a_public_key_is_no_secret() -> None:
    """RFC 8725, section 2.1: an HMAC keyed with a public key."""
    public = pem(KEYS["RS256"])
    header = {"alg": "HS256", "typ": "JWT"}
    signing_input = ".".join(
        jwt.utils.base64url_encode(json.dumps(part).encode()).decode() for part in (header, claims())
    )
    signature = jwt.utils.base64url_encode(
        hmac.digest(public.encode(), signing_input.encode(), hashlib.sha256)
    ).decode()
    for tokens in (JwtIssuedTokens(RULES, keys=[from_pem(public)]), JwtIssuedTokens(RULES, secret=SECRET)):
        assert await refused(tokens, f"{signing_input}.{signature}") == "CREDENTIAL_INVALID"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"exp": None}, "CREDENTIAL_INVALID"),
        ({"exp": 1}, "CREDENTIAL_EXPIRED"),
        ({"exp": "soon"}, "CREDENTIAL_INVALID"),
        ({"nbf": 2**33}, "CREDENTIAL_INVALID"),
        ({"iss": "https://other.example"}, "CREDENTIAL_INVALID"),
        ({"iss": None}, "CREDENTIAL_INVALID"),
        ({"aud": "another"}, "CREDENTIAL_INVALID"),
        ({"aud": None}, "CREDENTIAL_INVALID"),
        ({"sub": None}, "CREDENTIAL_INVALID"),
        ({"sub": ""}, "CREDENTIAL_INVALID"),
        ({"sub": "a b"}, "CREDENTIAL_INVALID"),
        ({"sub": "a\x00"}, "CREDENTIAL_INVALID"),
        ({"sub": "x" * 129}, "CREDENTIAL_INVALID"),
    ],
)
async def test_a_claim_that_is_missing_or_wrong(change: dict[str, Any], code: str) -> None:
    tokens = JwtIssuedTokens(RULES, secret=SECRET)
    assert await refused(tokens, jwt.encode(claims(**change), SECRET, "HS256")) == code


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        ("upload", {Scope.UPLOAD}),
        ("openid operate profile", {Scope.OPERATE}),
        (["read", "email"], {Scope.READ}),
        ("", set()),
        (None, set()),
        (7, set()),
        ([7, None], set()),
        ("UPLOAD", set()),
    ],
)
async def test_scopes_of_others_permit_nothing(claim: object, scopes: set[Scope]) -> None:
    tokens = JwtIssuedTokens(RULES, secret=SECRET)
    assert (await tokens.caller(jwt.encode(claims(scope=claim), SECRET, "HS256"))).scopes == scopes


@pytest.mark.parametrize("text", ["", "a.b.c", "é.é.é", "\udcff.a.b", "x" * 9000, "eyJhbGciOiJub25lIn0.e30."])
async def test_text_that_is_no_token(text: str) -> None:
    assert await refused(JwtIssuedTokens(RULES, secret=SECRET), text) == "CREDENTIAL_INVALID"


@pytest.mark.parametrize(
    "data",
    [
        {"kty": "oct", "k": "c2VjcmV0"},
        jwk("RS256", rsa.generate_private_key(65537, 1024)),  # noqa: S505  # the test: it is refused
        jwk("RS256", KEYS["RS256"], use="enc"),
        {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "what"},
        {},
    ],
)
def test_keys_that_are_not_used(data: dict[str, Any]) -> None:
    assert from_jwk(data) is None


@pytest.mark.parametrize("text", ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_text_that_is_no_public_key(text: str) -> None:
    with pytest.raises(ValueError, match="public key"):
        from_pem(text)


class _Provider:
    """An identity provider's document, in place of the HTTP client."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] | None = []
        self.fetches = 0
        self.asked, self.responds = asyncio.Event(), asyncio.Event()
        self.responds.set()

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, max_bytes: int
    ) -> PlainResponse:
        self.fetches += 1
        self.asked.set()
        await self.responds.wait()
        if self.keys is None:
            raise StoreUnavailable(reason="no response")
        return PlainResponse(200, {}, json.dumps({"keys": self.keys}).encode())


def signed(algorithm: str, key: Any, name: str | None) -> str:
    return jwt.encode(claims(), key, algorithm, headers={"kid": name} if name else None)


async def test_published_keys_rotate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("pipeline.adapters.tokens.jwks.time.monotonic", lambda: now)
    first, second = KEYS["ES256"], ec.generate_private_key(ec.SECP256R1())
    provider = _Provider()
    provider.keys = [jwk("ES256", first, kid="1"), {"kty": "what"}, jwk("EdDSA", KEYS["EdDSA"], kid="3")]
    tokens = JwtIssuedTokens(RULES, jwks=Jwks(provider, "https://id.example/keys"))
    for token in (signed("ES256", first, "1"), signed("EdDSA", KEYS["EdDSA"], None)):
        assert (await tokens.caller(token)).owner == "alice"
    assert provider.fetches == 1

    provider.keys = [jwk("ES256", first, kid="1"), jwk("ES256", second, kid="2")]
    assert await refused(tokens, signed("ES256", second, "2")) == "CREDENTIAL_INVALID", "fetched a moment ago"
    now += 11
    assert (await tokens.caller(signed("ES256", second, "2"))).owner == "alice"
    assert provider.fetches == 2
    for name in map(str, range(100)):
        assert await refused(tokens, signed("ES256", second, f"unknown-{name}")) == "CREDENTIAL_INVALID"
    assert provider.fetches == 2, "a stranger's tokens cause no fetches"

    provider.keys = [jwk("ES256", second, kid="2")]
    now += 301
    assert await refused(tokens, signed("ES256", first, "1")) == "CREDENTIAL_INVALID"

    provider.keys = None
    now += 301
    assert (await tokens.caller(signed("ES256", second, "2"))).owner == "alice", "known keys outlive an outage"
    with pytest.raises(DependencyUnavailable) as error:
        await tokens.caller(signed("ES256", first, "1"))
    assert error.value.code == "AUTH_UNAVAILABLE"


async def test_a_strangers_token_delays_nobody_whose_key_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names an unknown key, and the provider does not respond to the fetch that this causes."""
    monkeypatch.setattr("pipeline.adapters.tokens.jwks._PAUSE_SECONDS", 0.0)
    provider = _Provider()
    provider.keys = [jwk("ES256", KEYS["ES256"], kid="1")]
    tokens = JwtIssuedTokens(RULES, jwks=Jwks(provider, "https://id.example/keys"))
    known, unknown = signed("ES256", KEYS["ES256"], "1"), signed("ES256", KEYS["ES256"], "2")
    assert (await tokens.caller(known)).owner == "alice"

    provider.responds.clear()
    provider.asked.clear()
    stranger = asyncio.create_task(refused(tokens, unknown))
    async with asyncio.timeout(10):
        await provider.asked.wait()
        assert (await tokens.caller(known)).owner == "alice"
        monkeypatch.setattr("pipeline.adapters.tokens.jwks._FRESH_SECONDS", 0.0)
        assert (await tokens.caller(known)).owner == "alice", "the fetch that is due does not respond either"
    assert not stranger.done()
    assert provider.fetches == 2
    provider.responds.set()
    assert await stranger == "CREDENTIAL_INVALID"


async def test_a_token_signed_with_another_key_of_that_name() -> None:
    provider = _Provider()
    provider.keys = [jwk("ES256", KEYS["ES256"], kid="1")]
    tokens = JwtIssuedTokens(RULES, jwks=Jwks(provider, "https://id.example/keys"))
    with pytest.raises(AccessError, match="signature"):
        await tokens.caller(signed("ES256", ec.generate_private_key(ec.SECP256R1()), "1"))
