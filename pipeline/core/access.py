"""Callers and what they may do: owners, scopes, and the limits of permits.

An upload and its content belong to an owner, a name that an operator or an identity provider has chosen. A `Caller`
makes each request. The route table declares which callers may use a route; `Caller.sees` says whose uploads and
contents a caller can see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

DEFAULT_OWNER = "default"
"""Owner of what was uploaded before there were owners, and of everything while SLUICE_AUTH is `none`."""


class Scope(StrEnum):
    """What a key or a token permits. `upload`: create, send, show and cancel uploads of its owner, delete its contents,
    manage its webhooks. `read`: show, list and download contents of its owner, show its uploads. `operate`: what
    operators need, for every owner."""

    UPLOAD = "upload"
    READ = "read"
    OPERATE = "operate"


class TokenKind(StrEnum):
    """What a token that Sluice has signed is for; the `typ` of its header."""

    UPLOAD = "sluice-upload"
    """One upload, and the content that it becomes."""
    PERMIT = "sluice-permit"
    """Creating uploads within limits."""
    TICKET = "sluice-ticket"
    """The event stream of one upload, for a short time, in a URL."""
    LINK = "sluice-link"
    """Downloading one content, in a URL."""

    @property
    def described(self) -> str:
        """With its article, for messages: `an upload token`."""
        return "an upload token" if self is TokenKind.UPLOAD else f"a {self.removeprefix('sluice-')}"


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Limits of an upload's metadata. An upload that breaks one fails as soon as its metadata is known.

    `kinds` are those of `schemas.media`; codecs and formats as in contents. An empty tuple or None allows everything.
    """

    kinds: tuple[str, ...] = ()
    content_types: tuple[str, ...] = ()
    video_codecs: tuple[str, ...] = ()
    audio_codecs: tuple[str, ...] = ()
    max_duration_seconds: float | None = None
    max_width: int | None = None
    max_height: int | None = None

    def to_data(self) -> dict[str, Any]:
        """Only what is limited, as JSON-serialisable data."""
        return {name: value for name, value in asdict(self).items() if value not in ((), None)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> MediaLimits:
        """Raises TypeError for a limit that this release does not know: it must not be ignored."""
        limits: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in data.items()}
        return cls(**limits)


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to create a few uploads, given to a client before the file is known. `count`: how many uploads;
    `max_size_bytes`: of each; `expires_at`: in seconds since 1970."""

    permit_id: str
    expires_at: int
    count: int = 1
    max_size_bytes: int | None = None
    media: MediaLimits = field(default_factory=MediaLimits)

    def to_data(self) -> dict[str, Any]:
        """As JSON-serialisable data: the claims of its token, and what a record keeps."""
        data = {"jti": self.permit_id, "exp": self.expires_at, "count": self.count, "media": self.media.to_data()}
        return data if self.max_size_bytes is None else data | {"max_size": self.max_size_bytes}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Permit:
        """Raises KeyError, TypeError for data of another release: a limit must not be ignored."""
        media = MediaLimits.from_data(data["media"])
        return cls(data["jti"], data["exp"], data["count"], data.get("max_size"), media)


@dataclass(frozen=True, slots=True)
class Caller:
    """The maker of a request. `credential` names, for logs, what was sent: `key:<id>`, `jwt:<issuer>`, `none`, or a
    kind of token. `token`: the kind of a token that Sluice has signed; such a caller has no scopes. It may use the
    upload `upload_id` and the content that it becomes, or create uploads within its `permit`, and nothing else.
    `issued_by`: the credential that requested the token. `expires_at`: in seconds since 1970; None: the key has no
    expiry."""

    owner: str
    scopes: frozenset[Scope]
    credential: str
    token: TokenKind | None = None
    upload_id: str | None = None
    permit: Permit | None = None
    issued_by: str | None = None
    expires_at: float | None = None

    @property
    def sees(self) -> str | None:
        """The owner whose uploads and contents this caller sees; None: every owner's."""
        return None if Scope.OPERATE in self.scopes else self.owner

    @property
    def root(self) -> str:
        """The key or token of an identity provider from which this credential comes: itself, or what requested it."""
        return self.issued_by or self.credential

    @property
    def scope(self) -> str:
        """The scopes as OAuth writes them (RFC 6749 section 3.3): sorted, separated by spaces."""
        return " ".join(sorted(self.scopes))
