"""Settings of the object stores, of imports from them, and of a cache in front of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

from pipeline.settings.values import BaseUrl, CaFile, PurgeUrl, TextList, UpperCase


class ObjectStoreSettings(BaseModel):
    """Which object store is used, and what holds for all of them."""

    store: Literal["swift", "s3", "filesystem"] = Field(
        "swift",
        description="Object store of new uploads; existing uploads and contents stay in the store they began in",
    )
    filesystem_dir: Path | None = Field(
        None, description="Directory of the store `filesystem`, for sites with one disk; empty: not available"
    )
    import_buckets: TextList = Field(
        (),
        description='Buckets or containers whose objects may be imported, as JSON such as ["raw"]; empty: only the '
        "store's own",
    )
    events_token: SecretStr = Field(
        SecretStr(""),
        description="Token that stores send with notifications of new objects (`Authorization: Bearer`); empty: "
        "notifications are refused",
    )
    sns_topics: TextList = Field(
        (),
        description="ARNs of the Amazon SNS topics whose messages are accepted, separated by commas; empty: none. "
        "Their signatures are verified",
    )
    sns_hosts: TextList = Field(
        (),
        description="Hosts besides `sns.REGION.amazonaws.com` from which certificates of signatures are read, "
        "for servers compatible with SNS; with the port if it is not 443",
    )
    store_ca_file: CaFile = Field(
        None,
        description="File of CA certificates (PEM) that are trusted besides the system's, for stores, Keystone, "
        "presigned URLs, caches and JWKS URLs with a private CA",
    )
    store_concurrency: int = Field(
        16,
        ge=1,
        description="Segments that one process sends to the store at once; 16 cut the time for 1 GB from over 5 min "
        "to 95 s",
    )
    store_patience_seconds: float = Field(
        43_200,
        gt=0,
        description="Outage budget of the store: an upload fails when its store is unavailable for this long; one "
        "night, because the original exists nowhere else",
    )
    store_stall_seconds: float = Field(
        60,
        gt=0,
        description="A request to the store is aborted when no byte moves, or no response arrives, for this long",
    )
    store_grants: Literal["checked", "trusted"] = Field(
        "checked",
        description="`checked`: a gateway gives clients only presigned URLs of a kind that it has seen to work; "
        "`trusted`: without a check, for gateways that cannot reach the URLs of clients",
    )
    cdn_purge_url: PurgeUrl = Field(
        SecretStr(""),
        description="URL to call for each deleted object, with `{key}` in place of its key, until the call succeeds; "
        "empty: no cache to purge",
    )
    cdn_purge_method: Annotated[Literal["PURGE", "PUT", "POST", "DELETE", "BAN"], UpperCase] = Field(
        "PURGE", description="HTTP method of the purge request; PUT for the nginx in deploy/cdn"
    )
    cdn_purge_token: SecretStr = Field(
        SecretStr(""), description="Token of the purge request, sent as `Authorization: Bearer`; empty: none"
    )


class SwiftSettings(BaseModel):
    """How to reach OpenStack Swift. The store `swift` exists when a user or an application credential is set."""

    swift_auth: Literal["v1", "v3"] = Field(
        "v3", description="Authentication: `v3` is Keystone, `v1` is tempauth and servers with the same API"
    )
    swift_auth_url: BaseUrl = Field(
        "http://127.0.0.1:5000/v3", description="URL of Keystone, ending in /v3, or of tempauth, ending in /auth/v1.0"
    )
    swift_user: str = Field("", description="User name; with v1 `account:user`")
    swift_password: SecretStr = Field(SecretStr(""), description="Password of the user, or its tempauth key")
    swift_project: str = Field("", description="Project that owns the containers (v3)")
    swift_user_domain: str = Field("Default", description="Domain name of the user (v3)")
    swift_project_domain: str = Field("Default", description="Domain name of the project (v3)")
    swift_application_credential_id: str = Field(
        "", description="Application credential to use instead of user and password (v3)"
    )
    swift_application_credential_secret: SecretStr = Field(
        SecretStr(""), description="Secret of the application credential (v3)"
    )
    swift_region: str = Field(
        "", description="Region in the service catalogue; empty: the first object store in the catalogue (v3)"
    )
    swift_interface: Literal["public", "internal", "admin"] = Field(
        "public",
        description="Endpoint interface that Sluice uses (v3); clients always receive URLs of the public interface",
    )
    swift_public_url: BaseUrl = Field(
        "",
        description="Base URL that clients use, with or without `/v1/ACCOUNT`, such as `https://swift.example` or "
        "`https://ceph.example/swift`; empty: the URL from the service catalogue or the login response",
    )
    swift_container: str = Field(
        "sluice", description="Container of the objects; segments are stored in `<container>_segments`"
    )
    swift_tempurl_key: SecretStr = Field(
        SecretStr(""),
        description="Key that signs TempURLs. Sluice sets it on its containers, and on the account if its user may and "
        "a key is unset; it never replaces a key of the account. Empty: no TempURLs",
    )
    swift_tempurl_digest: Literal["sha256", "sha512", "sha1"] = Field(
        "sha256",
        description="HMAC digest of TempURLs. Where the cluster's `/info` does not allow it, an allowed sha256 or "
        "sha512 is used, or the gateway streams. `sha1` accepts SHA-1 where a cluster knows nothing else (Ceph 16)",
    )
    swift_lent_user: str = Field(
        "",
        description="User whose tokens are delegated to clients (transport `token`); must not be the user of Sluice "
        "itself. Empty: no delegated tokens",
    )
    swift_lent_password: SecretStr = Field(
        SecretStr(""), description="Password of the user whose tokens are delegated to clients"
    )
    swift_lent_application_credential_id: str = Field(
        "",
        description="Application credential for delegated tokens, instead of user and password (v3); it can be "
        "restricted and revoked separately",
    )
    swift_lent_application_credential_secret: SecretStr = Field(
        SecretStr(""), description="Secret of the application credential for delegated tokens (v3)"
    )


class S3Settings(BaseModel):
    """How to reach S3 or a compatible store. The store `s3` exists when a bucket is set."""

    s3_bucket: str = Field("", description="Bucket of objects and segments; empty: the store `s3` is not available")
    s3_endpoint_url: BaseUrl = Field("", description="URL of an S3-compatible store; empty: Amazon S3")
    s3_public_url: BaseUrl = Field(
        "", description="Base URL of presigned URLs, which clients use; empty: the endpoint URL"
    )
    s3_region: str = Field("us-east-1", description="Region, part of every signature")
    s3_access_key: str = Field(
        "",
        description="Access key; empty: botocore's own search (environment, profile, instance role)",
    )
    s3_secret_key: SecretStr = Field(SecretStr(""), description="Secret of the access key")
    s3_addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Whether URLs name the bucket in the path or in the host name"
    )
    s3_checksums: Literal["when_required", "when_supported"] = Field(
        "when_required",
        description="When to send checksums; `when_supported` adds a CRC32 that many compatible stores refuse",
    )
    s3_verify: Literal["etag", "content-md5"] = Field(
        "etag",
        description="How a stored segment is verified; use `content-md5`, which reads each segment twice, where ETags "
        "are not MD5 digests (SSE-KMS)",
    )
