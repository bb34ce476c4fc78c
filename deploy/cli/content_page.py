"""A content, laid out for people: its metadata row, and where its object lies."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from deploy.cli.wording import say_bytes, say_media, say_stream, say_time
from schemas.content import Content, ContentObject


def content_lines(content: Content) -> list[tuple[str, str]]:
    """Name and text of every field that a person asks for: the row, then the object and its thumbnail."""
    stored = content.object
    return [
        ("content", content.id),
        ("file", f"{content.filename} · {content.content_type} · {say_bytes(content.media.size_bytes)}"),
        ("media", say_media(content.media)),
        *((f"stream {stream.index}", f"{stream.type}: {say_stream(stream)}") for stream in content.media.streams),
        *{**content.media.tags, **content.metadata}.items(),
        ("created", say_time(content.created_at)),
        ("object", f"{stored.container}/{stored.key}"),
        ("store", f"{stored.store} · {say_bytes(stored.size_bytes)} · etag {stored.etag}"),
        ("segments", f"{stored.segment_count}" + (", joined by a manifest" if stored.segment_count > 1 else "")),
        ("thumbnail", _place(content.thumbnail) if content.thumbnail else "none: there is nothing to show"),
    ]


def swift_download_command(environment: Mapping[str, str], swift: str, stored: ContentObject, target: Path) -> str:
    """The exact `swift` command line (python-swiftclient), from the SLUICE_* variables of the processes that stored
    it.
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
    return f"{stored.container}/{stored.key} · {say_bytes(stored.size_bytes)}"
