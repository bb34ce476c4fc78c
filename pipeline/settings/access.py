"""Settings of authentication."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from pipeline.settings.values import BaseUrl, OptionalSecret, PublicKeys, SigningSecrets
from schemas.owners import OwnerName


class AccessSettings(BaseModel):
    """Who may call the gateway. API keys are in PostgreSQL (`sluice key`)."""

    auth: Literal["required", "none"] = Field(
        "required",
        description="`required`: every request except health checks needs an API key or a token. `none`: no request "
        "does, and the gateway listens on loopback only",
    )
    signing_secret: SigningSecrets = Field(
        (),
        description="Secret, of 32 characters or more, that signs upload tokens, permits, tickets and links; the same "
        "for every gateway. Several, separated by commas: the first signs, all are accepted",
    )
    upload_token_seconds: float = Field(
        172_800, gt=0, description="How long the token of an upload is valid; a day in the queue and a day to send"
    )
    ticket_seconds: float = Field(60, gt=0, description="How long a ticket can open its event stream")
    jwt_issuer: str = Field(
        "", description="Issuer (`iss`) of the identity provider's tokens; empty: none are accepted"
    )
    jwt_audience: str = Field("", description="Audience (`aud`) that these tokens must name")
    jwt_jwks_url: BaseUrl = Field("", description="URL of the provider's keys (JWKS), for RS256, ES256 and EdDSA")
    jwt_public_keys: PublicKeys = Field(
        (), description="Public keys in PEM, one after the other, where the provider publishes none"
    )
    jwt_secret: OptionalSecret = Field(
        SecretStr(""), description="Secret of HS256, of 32 characters or more; empty: HS256 is not accepted"
    )
    jwt_owner_claim: str = Field("sub", min_length=1, description="Claim that names the owner")
    jwt_scope_claim: str = Field(
        "scope", min_length=1, description="Claim that holds the scopes `upload`, `read` and `operate`"
    )
    import_owner: OwnerName = Field("default", description="Owner of what a store's notification imports")
