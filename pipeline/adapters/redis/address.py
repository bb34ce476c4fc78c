"""The URL of Redis with its TLS options, as redis-py reads it.

Guarantee: with `rediss://` and `rediss+sentinel://` the certificate and the host name of the server are verified,
unless the URL itself says otherwise (`?ssl_cert_reqs=none`). redis-py alone verifies no host name.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit


def client_url(
    url: str, *, ca_file: Path | None = None, certificate_file: Path | None = None, key_file: Path | None = None
) -> str:
    """`url` with the TLS options of redis-py; those that it has stay. Other URLs are not changed."""
    parts = urlsplit(url)
    if parts.scheme not in ("rediss", "rediss+sentinel"):
        return url
    present = parse_qs(parts.query, keep_blank_values=True)
    verified = present.get("ssl_cert_reqs", ["required"])[0] != "none"
    wanted = {
        "ssl_check_hostname": "true" if verified else "false",
        "ssl_ca_certs": ca_file,
        "ssl_certfile": certificate_file,
        "ssl_keyfile": key_file or certificate_file,
    }
    # redis-py decodes a value twice.
    added = [f"{name}={quote(quote(str(value)))}" for name, value in wanted.items() if value and name not in present]
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, *added]))))
