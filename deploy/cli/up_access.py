"""The key and the signing secret of a run of `sluice up`: made on its first run, kept in its directory.

Guarantee: only the owner of the directory may read them, at any moment.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.access.key_ring import KEY_PREFIX, new_key
from pipeline.bootstrap.access import api_keys
from pipeline.core.access import DEFAULT_OWNER, Scope
from pipeline.settings import Settings

_SECRET = "signing-secret"  # noqa: S105  # a file's name
_KEY = "key"


def signing_secret(directory: Path) -> str:
    """The secret that signs tokens of this directory's gateways."""
    path = directory / _SECRET
    if not path.exists():
        _write(path, secrets.token_hex(32))
    return path.read_text().strip()


async def own_key(directory: Path, environment: Mapping[str, str]) -> str:
    """A key with every scope, for the owner of what was uploaded before. Raises DependencyUnavailable."""
    path = directory / _KEY
    values: dict[str, Any] = {name.removeprefix("SLUICE_").lower(): text for name, text in environment.items()}
    settings = Settings(**values)
    async with api_keys(settings) as keys:
        known = {item.key_id for item in await keys.all(DEFAULT_OWNER) if item.revoked_at is None}
        if path.exists() and path.read_text().strip().removeprefix(KEY_PREFIX).partition("_")[0] in known:
            return path.read_text().strip()
        key_id, text, digest = new_key()
        await keys.add(key_id, DEFAULT_OWNER, frozenset(Scope), "made by `sluice up`", digest, None)
    _write(path, text)
    return text


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    unfinished.rename(path)
