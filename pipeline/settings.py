"""Settings: `SLUICE_*` environment variables as one typed, frozen object. Only entry points read it.

Guarantee: every setting says what it means, and why its default is what it is; README lists them all, and a test holds
the two together. Secrets are SecretStr: they do not appear in logs or tracebacks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE

_BASE_URL = r"^(https?://[^/\s?#]+(/[^\s?#]*)?)?$"


class Settings(BaseSettings):
    """All settings of Sluice."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", frozen=True, extra="ignore", env_ignore_empty=True)

    # -- what Sluice stands on
    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="Redis with AOF on; not a cluster")
    redis_namespace: str = Field("sluice", pattern=r"^[a-z0-9-]+$", description="First part of every Redis key")
    database_url: SecretStr = Field(
        SecretStr("postgresql://sluice@127.0.0.1:5432/sluice"), description="PostgreSQL for content metadata"
    )
    database_patience_seconds: float = Field(
        86_400, gt=0, description="An upload that is stored but for its row fails when PostgreSQL is away for so long"
    )
    database_pool: int = Field(4, ge=1, description="Connections to PostgreSQL per process; persist needs few")

    # -- the object store
    store: Literal["swift", "s3", "filesystem"] = Field("swift", description="Which object store new uploads go to")
    swift_auth: Literal["v1", "v3"] = Field(
        "v3", description="v3: Keystone; v1: tempauth and other TempAuth-like servers"
    )
    swift_auth_url: str = Field("http://127.0.0.1:5000/v3", description="Keystone's /v3 or tempauth's /auth/v1.0")
    swift_user: str = Field("", description="User name (v1: `account:user`)")
    swift_password: SecretStr = Field(SecretStr(""), description="Password or tempauth key")
    swift_project: str = Field("", description="Project that the containers belong to (v3)")
    swift_user_domain: str = Field("Default", description="Domain name of the user (v3)")
    swift_project_domain: str = Field("Default", description="Domain name of the project (v3)")
    swift_application_credential_id: str = Field("", description="Used in place of user and password (v3)")
    swift_application_credential_secret: SecretStr = Field(
        SecretStr(""), description="Secret of the application credential"
    )
    swift_region: str = Field("", description="Region in the service catalogue; empty: the first object-store there is")
    swift_interface: Literal["public", "internal", "admin"] = Field(
        "public", description="Endpoint interface that we use (v3); clients are sent to the public one"
    )
    swift_public_url: str = Field(
        "",
        pattern=_BASE_URL,
        description="What clients get in front of `/v1/ACCOUNT`, as `https://swift.example`; empty: as the login says",
    )
    swift_container: str = Field("sluice", description="Container of objects; segments lie in `<container>_segments`")
    swift_tempurl_key: SecretStr = Field(
        SecretStr(""),
        description="Signs TempURLs; put on containers and account if our user may, over nobody's. Empty: none",
    )
    swift_tempurl_digest: Literal["sha256", "sha512"] = Field(
        "sha256", description="HMAC of TempURLs, as the proxy's `allowed_digests` has it; sha256 is allowed everywhere"
    )
    swift_lent_user: str = Field(
        "",
        description="User whose tokens are lent to clients (transport `token`); empty: none are. Never our own user",
    )
    swift_lent_password: SecretStr = Field(SecretStr(""), description="Password of the user whose tokens are lent")
    swift_lent_application_credential_id: str = Field(
        "", description="Used in place of the lent user and password (v3): can be restricted and revoked by itself"
    )
    swift_lent_application_credential_secret: SecretStr = Field(
        SecretStr(""), description="Secret of the lent application credential"
    )
    s3_bucket: str = Field("", description="Bucket of objects and segments; without it there is no store `s3`")
    s3_endpoint_url: str = Field("", description="Of a store that speaks like S3; empty: Amazon's own")
    s3_public_url: str = Field(
        "", pattern=_BASE_URL, description="How clients reach it (presigned URLs name it); empty: the same way"
    )
    s3_region: str = Field("us-east-1", description="Part of every signature")
    s3_access_key: str = Field("", description="Empty: environment, profile or the machine's role, as botocore looks")
    s3_secret_key: SecretStr = Field(SecretStr(""), description="Belongs to the access key")
    s3_addressing: Literal["auto", "path", "virtual"] = Field("auto", description="Bucket in the path or the host name")
    s3_checksums: Literal["when_required", "when_supported"] = Field(
        "when_required", description="when_supported adds a CRC32 that many compatible stores refuse"
    )
    s3_verify: Literal["etag", "content-md5"] = Field(
        "etag", description="content-md5 where ETags are no MD5 (SSE-KMS): each segment is read twice"
    )
    filesystem_dir: Path | None = Field(
        None, description="Directory of the store `filesystem`, for sites with one disk"
    )
    import_buckets: tuple[str, ...] = Field(
        (),
        description='Buckets or containers to import objects from, as JSON: ["raw"]; empty: the own one alone',
    )
    events_token: SecretStr = Field(
        SecretStr(""),
        description="Secret of stores that notify of new objects (Authorization: Bearer); empty: none are taken",
    )
    store_concurrency: int = Field(
        16,
        ge=1,
        description="Segments on their way to the store at once, per process: 16 took 1 GB from over 5 min to 95 s",
    )
    store_patience_seconds: float = Field(
        43_200,
        gt=0,
        description="An upload fails when its store was away for so long: a night, since originals exist nowhere else",
    )
    store_stall_seconds: float = Field(
        60,
        gt=0,
        description="A store connection on which nothing moves for so long, or no answer comes, is given up",
    )

    cdn_purge_url: str = Field(
        "",
        description="Called with `{key}` filled in for each object that is deleted, until it succeeds; empty: no CDN",
    )
    cdn_purge_method: Literal["PURGE", "PUT", "POST", "DELETE", "BAN"] = Field(
        "PURGE", description="What the cache wants; PUT for the nginx of deploy/cdn"
    )
    cdn_purge_token: SecretStr = Field(SecretStr(""), description="Sent to the purge URL as `Authorization: Bearer`")

    # -- the temp volume
    temp_dir: Path = Field(
        Path("/var/lib/sluice/temp"), description="Directory of temp files: the temp volume's mount point"
    )
    volume: str = Field("local", pattern=r"^[a-z0-9-]+$", description="The temp volume's name: names its cell's queues")
    temp_budget_bytes: int = Field(
        20 * GIBIBYTE, ge=1, description="Bytes that uploads may hold on the temp volume together"
    )
    temp_headroom_bytes: int = Field(
        256 * MEBIBYTE,
        ge=0,
        description="Free bytes on the disk that admission never hands out: room for logs and journals",
    )
    durability: Literal["page-cache", "fsync"] = Field(
        "page-cache",
        description="What an acknowledged segment has survived: page-cache: any process's death; fsync: power loss too",
    )
    disk_patience_seconds: float = Field(
        600,
        gt=0,
        description="Stages of an upload are tried again for so long while the temp volume fails; then it fails",
    )
    segment_bytes: int = Field(
        10 * MEBIBYTE,
        ge=1024,
        description="Segment length unless a file needs larger ones: small enough to retry, few enough to list",
    )

    # -- admission
    lease_seconds: float = Field(900, gt=0, description="An admitted upload expires when no segment comes for so long")
    waiting_seconds: float = Field(86_400, gt=0, description="An upload that waits for room for longer expires")
    max_passes: int = Field(
        16, ge=0, description="How often smaller uploads may pass one that waits at the head for room"
    )
    lookahead: int = Field(64, ge=1, description="How far down the queue a pass looks for uploads that fit")
    direct_seconds: float = Field(
        86_400,
        gt=0,
        description="A direct upload expires when it is neither completed nor given grants for so long",
    )
    upload_grant_seconds: int = Field(
        3600, ge=1, le=86_400, description="How long a right to send a segment to the store itself is valid"
    )
    retention_seconds: float = Field(86_400, gt=0, description="How long an ended upload's status can still be read")

    # -- the gateway
    host: str = Field("127.0.0.1", description="Address the gateway and the workers' metrics listen on")
    port: int = Field(8080, ge=0, le=65535, description="Port of the gateway; 0 takes a free one and logs it")
    public_url: str = Field("", description="How clients reach the gateway; empty: as the request says (Host)")
    trust_forwarded: bool = Field(
        False, description="Take scheme and host from X-Forwarded-Proto/-Host; only behind a proxy that sets both"
    )
    cors_origins: tuple[str, ...] = Field(
        (), description='Origins that browsers may call from, as JSON: ["https://a.example"]'
    )
    receive_buffer_bytes: int = Field(
        64 * MEBIBYTE,
        ge=MEBIBYTE,
        description="Bytes of segment bodies held in memory by one gateway, all connections together",
    )
    segment_stall_seconds: float = Field(
        30, gt=0, description="A segment body on which nothing arrives for so long is given up"
    )
    segment_deadline_seconds: float = Field(
        900, gt=0, description="A segment body that is not complete by then is given up"
    )
    download_grant_seconds: int = Field(
        3600, ge=1, le=604_800, description="How long a redirect to the store works, unless the client asks otherwise"
    )
    download_concurrency: int = Field(
        256, ge=1, description="Downloads one gateway streams at once, 1 to 2 MiB of memory each; more are told 503"
    )
    download_stall_seconds: float = Field(
        30, gt=0, description="A download whose client takes nothing for so long is broken off"
    )
    shutdown_seconds: float = Field(
        20, gt=0, description="Grace after SIGTERM: requests and stages finish or are handed back"
    )
    database_migrate: bool = Field(
        True, description="Gateways and workers bring the schema up to date before they use it"
    )

    # -- stages and workers
    stage_lease_seconds: float = Field(
        6, gt=0, description="A stage whose worker has not been heard of for so long is taken over"
    )
    stage_concurrency: int = Field(
        32,
        ge=1,
        description="Jobs one transfer, assemble or persist worker runs at once: they wait more than they compute",
    )
    media_concurrency: int = Field(
        2, ge=1, description="Probes and thumbnails one worker runs at once: each is a busy process"
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of a worker's /metrics and /healthz; 0 takes a free one and logs it"
    )
    ffprobe: str = Field("ffprobe", description="The ffprobe executable")
    ffmpeg: str = Field("ffmpeg", description="The ffmpeg executable")
    probe_timeout_seconds: float = Field(60, gt=0, description="Time one probe may take")
    thumbnail_timeout_seconds: float = Field(120, gt=0, description="Time one thumbnail may take")

    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for people")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged")

    @field_validator("temp_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.absolute()
