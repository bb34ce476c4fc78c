"""Formats a content for people: its metadata row, its object and its thumbnail."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from deploy.cli.formatting import format_bytes, format_media, format_stream, format_time
from schemas.content import Content, ContentObject


def content_lines(content: Content) -> list[tuple[str, str]]:
    """(name, text) of each field: the metadata row, then the object and the thumbnail."""
    stored = content.object
    return [
        ("content", content.id),
        ("file", f"{content.filename} · {content.content_type} · {format_bytes(content.media.size_bytes)}"),
        ("media", format_media(content.media)),
        *((f"stream {stream.index}", f"{stream.type}: {format_stream(stream)}") for stream in content.media.streams),
        *{**content.media.tags, **content.metadata}.items(),
        ("created", format_time(content.created_at)),
        ("object", f"{stored.container}/{stored.key}"),
        ("store", f"{stored.store} · {format_bytes(stored.size_bytes)} · etag {stored.etag}"),
        ("segments", f"{stored.segment_count}" + (", joined by a manifest" if stored.segment_count > 1 else "")),
        ("thumbnail", _place(content.thumbnail) if content.thumbnail else "none"),
    ]


def swift_download_command(environment: Mapping[str, str], swift: str, stored: ContentObject, target: Path) -> str:
    """The `swift` command line (python-swiftclient) that downloads `stored` to `target`.

    `environment` holds the SLUICE_* variables of the processes that stored it.
    """

    def get(name: str) -> str:
        return environment.get(f"SLUICE_SWIFT_{name}", "")

    if environment.get("SLUICE_SWIFT_AUTH") == "v1":
        login = ["--auth-version", "1", "--auth", get("AUTH_URL"), "--user", get("USER"), "--key", get("PASSWORD")]
    else:
        login = ["--auth-version", "3", "--os-auth-url", get("AUTH_URL"), "--os-username", get("USER")]
        login += ["--os-password", get("PASSWORD"), "--os-project-name", get("PROJECT")]
        login += ["--os-user-domain-name", get("USER_DOMAIN") or "Default"]
        login += ["--os-project-domain-name", get("PROJECT_DOMAIN") or "Default"]
        login += ["--os-region-name", get("REGION")] if get("REGION") else []
    return shlex.join([swift, *login, "download", stored.container, stored.key, "--output", str(target)])


def _place(stored: ContentObject) -> str:
    return f"{stored.container}/{stored.key} · {format_bytes(stored.size_bytes)}"
