"""Settings of authentication."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from pipeline.settings.values import BaseUrl, OptionalSecret, PublicKeys, ReceiptKeys, SigningSecrets
from schemas.owners import OwnerName


class AccessSettings(BaseModel):
    """Authentication of the gateway's callers. API keys are in PostgreSQL (`sluice key`)."""

    auth: Literal["required", "none"] = Field(
        "required",
        description="`required`: every request except health checks needs an API key or a token. `none`: no request "
        "does, and the gateway listens on loopback only",
    )
    signing_secret: SigningSecrets = Field(
        (),
        description="Secret, of 32 characters or more, that signs upload tokens, permits, tickets and links; the same "
        "for every gateway. To replace it, list several, separated by commas: the first signs, all are accepted",
    )
    upload_token_seconds: float = Field(
        172_800,
        gt=0,
        description="How long an upload token is valid; the default is one day in the queue and one day to send",
    )
    ticket_seconds: float = Field(60, gt=0, description="How long a ticket can be used to open its event stream")
    jwt_issuer: str = Field(
        "",
        description="Issuer (`iss`) of the identity provider's tokens; empty: such tokens are not accepted",
    )
    jwt_audience: str = Field("", description="Audience (`aud`) that these tokens must name")
    jwt_jwks_url: BaseUrl = Field("", description="URL of the provider's keys (JWKS), for RS256, ES256 and EdDSA")
    jwt_public_keys: PublicKeys = Field(
        (), description="Public keys in PEM, one after the other, for a provider without a JWKS URL"
    )
    jwt_secret: OptionalSecret = Field(
        SecretStr(""),
        description="Secret for tokens signed with HS256, of 32 characters or more; empty: they are not accepted",
    )
    jwt_owner_claim: str = Field("sub", min_length=1, description="Claim of these tokens that names the owner")
    jwt_scope_claim: str = Field(
        "scope",
        min_length=1,
        description="Claim of these tokens that holds the scopes: `upload`, `read`, `operate`",
    )
    receipt_keys: ReceiptKeys = Field(
        (),
        description="Private keys that sign receipts of contents, the same for every gateway; `sluice receipt new-key` "
        "prints one. Empty: receipts are not offered. To replace a key, list the new one first, separated by a comma: "
        "the first signs, the public keys of all are served",
    )
    receipt_issuer: str = Field(
        "sluice", min_length=1, description="Who issues the receipts (`iss`): a name or URL that their holders know"
    )
    import_owner: OwnerName = Field("default", description="Owner of contents that a store's notification imports")
