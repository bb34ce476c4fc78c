"""A cache in front of the store, as a working example: renders nginx's configuration from its template.

Guarantee: nginx reads the store with a TempURL that allows only GET below `contents/`. So even a mistake in the
configuration cannot write, list, or read the segments' container.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.adapters.object_store.swift import TempUrlSigner

PUBLISHED_PREFIX = "contents/"
_WORD = re.compile(r"@([A-Z_]+)@")
_VERIFY = "proxy_ssl_verify on; proxy_ssl_verify_depth 3; proxy_ssl_trusted_certificate {bundle};"


@dataclass(frozen=True, slots=True)
class CdnOptions:
    """The values of the template; deploy/cdn/README.md explains them. `storage_url` is the account's URL
    (`https://swift.example/v1/AUTH_...`). `origin_query` comes from `origin_query()`, or is "" for a public
    container."""

    directory: Path
    storage_url: str
    container: str
    origin_query: str
    listen: str
    server_name: str
    certificate: Path
    certificate_key: Path
    purge_listen: str
    purge_token: str
    user: str = ""
    ttl: str = "30d"
    inactive: str = "1d"
    max_size: str = "50g"
    browser_seconds: int = 300
    ca_bundle: Path = Path("/etc/ssl/certs/ca-certificates.crt")


def origin_query(signer: TempUrlSigner, storage_url: str, container: str, expires_at: int) -> str:
    """The query string with which published objects can be read until `expires_at` (Unix time)."""
    path = f"/{container}/{PUBLISHED_PREFIX}"
    url = signer.sign(storage_url, path, method="GET", expires_at=expires_at, prefix=PUBLISHED_PREFIX, inline=True)
    return url.partition("?")[2]


def render(options: CdnOptions) -> str:
    """The whole configuration. Raises ValueError for a value with a character that could change its structure."""
    origin = urlsplit(options.storage_url)
    https = origin.scheme == "https"
    words: Mapping[str, str] = {
        "USER": f"user {options.user};" if options.user else "",
        "DIRECTORY": str(options.directory.absolute()),
        "LISTEN": options.listen,
        "SERVER_NAME": options.server_name,
        "CERTIFICATE": str(options.certificate),
        "CERTIFICATE_KEY": str(options.certificate_key),
        "PURGE_LISTEN": options.purge_listen,
        "PURGE_TOKEN": options.purge_token,
        "TTL": options.ttl,
        "INACTIVE": options.inactive,
        "MAX_SIZE": options.max_size,
        "BROWSER_SECONDS": str(options.browser_seconds),
        "ORIGIN_SCHEME": origin.scheme,
        "ORIGIN_ADDRESS": f"{origin.hostname}:{origin.port or (443 if https else 80)}",
        "ORIGIN_NAME": origin.hostname or "",
        "ORIGIN_HOST": origin.netloc,
        "ORIGIN_PATH": f"{origin.path.rstrip('/')}/{options.container}",
        "ORIGIN_QUERY": options.origin_query,
        "ORIGIN_VERIFY": _VERIFY.format(bundle=options.ca_bundle) if https else "",
    }
    for name, word in words.items():
        if re.search(r"[\s\"'{}$\\]", word) and name not in {"USER", "ORIGIN_VERIFY"}:
            raise ValueError(
                f"{name.lower()} contains a character that nginx's configuration does not allow here: {word!r}"
            )
    template = (resources.files(__package__) / "nginx.conf.template").read_text("utf-8")
    return _WORD.sub(lambda found: words[found[1]], template)


def make_directories(directory: Path) -> None:
    """Creates the directories that nginx needs below its directory."""
    for name in ("cache", "gone", "temp"):
        (directory / name).mkdir(parents=True, exist_ok=True)
