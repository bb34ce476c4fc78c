"""Settings of the gateway."""

from __future__ import annotations

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from pipeline.core.segments import MEBIBYTE
from pipeline.settings.values import BaseUrl, HeaderList, ListenHost, OriginList


class GatewaySettings(BaseModel):
    """Where the gateway listens, and what one request may use."""

    host: ListenHost = Field("127.0.0.1", description="Address on which the gateway and the workers' metrics listen")
    port: int = Field(8080, ge=0, le=65535, description="Port of the gateway; 0: a free port, which is logged")
    reuse_port: bool = Field(
        False,
        description="Whether other gateways of the same user may listen at the same address (SO_REUSEPORT) if they set "
        "it too: the kernel distributes connections among them. A request for /metrics or /readyz reaches any of them",
    )
    public_url: BaseUrl = Field(
        "",
        description="Base URL at which clients reach the gateway; empty: that of its cell in SLUICE_CELLS or, without "
        "them, taken from each request (Host header)",
    )
    trust_forwarded: bool = Field(
        False,
        description="Whether to trust X-Forwarded-Proto and X-Forwarded-Host; only behind a proxy that sets both",
    )
    cors_origins: OriginList = Field(
        (),
        description='Origins whose pages may call the gateway, as JSON such as ["https://a.example"] or separated by '
        "commas; `https://*.a.example` for all subdomains, `*` for every page",
    )
    cors_headers: HeaderList = Field(
        ("Authorization", "X-Requested-With", "X-CSRF-Token", "traceparent", "tracestate", "baggage"),
        description="Request headers that these pages may send besides those that the API reads; a proxy or a tracing "
        "library may need them. `*` for every header",
    )
    cors_credentials: bool = Field(
        False,
        description="Whether these pages may send cookies and TLS client certificates, for a proxy that authenticates "
        "users by them; not with the origin `*`",
    )
    receive_buffer_bytes: int = Field(
        64 * MEBIBYTE,
        ge=MEBIBYTE,
        description="Bytes of segment bodies that one gateway buffers in memory, for all connections together",
    )
    segment_stall_seconds: float = Field(
        30, gt=0, description="A segment request is aborted when no byte of its body arrives for this long"
    )
    segment_deadline_seconds: float = Field(
        900, gt=0, description="A segment request is aborted when its body is not complete after this long"
    )
    append_hold_seconds: float = Field(
        20,
        gt=0,
        description="How long a request that appends bytes (tus) waits for room before it is refused with 423; shorter "
        "than the time after which proxies and clients close a silent connection",
    )
    deferred_bytes: int = Field(
        10 * 1024 * MEBIBYTE,
        ge=1,
        description="The largest file that may be uploaded without its length at creation (tus with "
        "Upload-Defer-Length, or the IETF draft). With a large value, the segments of every such file are longer, so "
        "that their number stays within the limits of the store; on a small temp volume the limit is lower",
    )
    tus_max_append_bytes: int = Field(
        0,
        ge=0,
        description="Bytes that one request of the IETF draft of resumable uploads may append, which Upload-Limit "
        "announces as max-append-size: what a proxy in front accepts as a body; 0: no limit. Clients of tus 1.0 cannot "
        "be told: their chunk size must fit",
    )
    download_grant_seconds: int = Field(
        3600,
        ge=1,
        le=604_800,
        description="How long a redirect to the store is valid, unless the client requests another duration",
    )
    download_concurrency: int = Field(
        256,
        ge=1,
        description="Downloads that one gateway streams at once, each using 1 to 2 MiB of memory; further ones get 503",
    )
    download_stall_seconds: float = Field(
        30, gt=0, description="A download is aborted when its client accepts no byte for this long"
    )
    shutdown_seconds: float = Field(
        15,
        gt=0,
        description="Time after SIGTERM for requests and stages to finish; requests whose client neither sends nor "
        "reads for a quarter of it are aborted, and unfinished stages are requeued",
    )

    @field_validator("cors_credentials")
    @classmethod
    def _named_origins(cls, value: bool, info: ValidationInfo) -> bool:
        # The Fetch standard, section "CORS protocol and credentials". Any page on the web could act for a user.
        if value and "*" in info.data.get("cors_origins", ()):
            raise PydanticCustomError("setting", "Must be false while SLUICE_CORS_ORIGINS contains *; name the origins")
        return value
