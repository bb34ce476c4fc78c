"""The passwords of the embedded servers: random, made once for each directory.

Guarantee: only the owner of the directory may read the file, at any moment. It appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

_NAME = "passwords.json"


def _random() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Passwords:
    """Each has 128 random bits, as hexadecimal digits, so that it needs no quoting anywhere."""

    redis: str = field(default_factory=_random, repr=False)
    postgres: str = field(default_factory=_random, repr=False)
    swift: str = field(default_factory=_random, repr=False)
    tempurl: str = field(default_factory=_random, repr=False)
    keystone_admin: str = field(default_factory=_random, repr=False)
    keystone_media: str = field(default_factory=_random, repr=False)
    keystone_client: str = field(default_factory=_random, repr=False)
    keystone_swift: str = field(default_factory=_random, repr=False)

    @classmethod
    def of(cls, directory: Path) -> Passwords:
        """Those of this directory; what is missing is made."""
        path = directory / _NAME
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        names = {item.name for item in fields(cls)}
        found = cls(**{name: value for name, value in known.items() if name in names})
        if set(known) != names:
            write_private(path, json.dumps(asdict(found), indent=1))
        return found


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    unfinished.rename(path)
