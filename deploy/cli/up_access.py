"""The key and the signing secret of a run of `sluice up`: made on its first run, kept in its directory.

Guarantee: only the owner of the directory may read them, at any moment.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.embedded.passwords import write_private
from pipeline.access.key_ring import KEY_PREFIX, new_key
from pipeline.bootstrap.access import api_keys
from pipeline.core.access import DEFAULT_OWNER, Scope
from pipeline.settings import Settings

_SECRET = "signing-secret"  # noqa: S105  # a file's name
KEY_FILE = "key"


def signing_secret(directory: Path) -> str:
    """The secret that signs tokens of this directory's gateways."""
    path = directory / _SECRET
    if not path.exists():
        write_private(path, secrets.token_hex(32))
    return path.read_text().strip()


async def own_key(directory: Path, environment: Mapping[str, str]) -> str:
    """A key with every scope, for the owner `default`. Raises DependencyUnavailable."""
    path = directory / KEY_FILE
    values: dict[str, Any] = {name.removeprefix("SLUICE_").lower(): text for name, text in environment.items()}
    settings = Settings(**values)
    async with api_keys(settings) as keys:
        known = {item.key_id for item in await keys.all(DEFAULT_OWNER) if item.revoked_at is None}
        if path.exists() and path.read_text().strip().removeprefix(KEY_PREFIX).partition("_")[0] in known:
            return path.read_text().strip()
        key_id, text, digest = new_key()
        await keys.add(key_id, DEFAULT_OWNER, frozenset(Scope), "made by `sluice up`", digest, None)
    write_private(path, text)
    return text
