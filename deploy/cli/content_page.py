"""A content, laid out for people: its metadata row, and where its object lies."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from deploy.cli.wording import say_bytes, say_media, say_stream, say_time
from schemas.content import Content, ContentObject


def content_page(content: Content) -> RenderableType:
    """Every field of the row that a person asks for, then the object and its thumbnail."""
    row = Table.grid(padding=(0, 2))
    row.add_row("[bold]metadata row[/]", content.id)
    row.add_row("file", f"{escape(content.filename)} · {content.content_type} · {say_bytes(content.media.size_bytes)}")
    row.add_row("media", escape(say_media(content.media)))
    for stream in content.media.streams:
        row.add_row(f"stream {stream.index}", escape(f"{stream.type}: {say_stream(stream)}"))
    for name, text in {**content.media.tags, **content.metadata}.items():
        row.add_row(escape(name), escape(text))
    row.add_row("created", say_time(content.created_at))
    row.add_row("", "")
    row.add_row("[bold]object[/]", _place(content.object))
    row.add_row("etag", content.object.etag)
    many = content.object.segment_count > 1
    row.add_row(
        "segments", f"{content.object.segment_count}" + (", joined by a manifest" if many else ", a plain object")
    )
    row.add_row("thumbnail", _place(content.thumbnail) if content.thumbnail else "none: there is nothing to show")
    return row


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
    return escape(f"{stored.store}: {stored.container}/{stored.key} · {say_bytes(stored.size_bytes)}")
