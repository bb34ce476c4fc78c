"""Types of settings that are more than a string or a number: lists, URLs, host names, origins, header names.

Guarantee: what could never work is refused when the settings are read, with one sentence that says what is expected.
What has one obvious meaning is brought into the form that the code compares: `https://A.example:443/` becomes
`https://a.example`.
"""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode
from yarl import URL

from pipeline.core.cells import CELLS

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SUBDOMAINS: Final = re.compile(rf"\*\.{_LABEL}(?:\.{_LABEL})*")
_ORIGIN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#@\\\s]+)/?")
_BASE_URL: Final = re.compile(r"https?://([^/?#@\\\s]+)(?:/[^?#\\\s]*)?", re.IGNORECASE)
_PURGE_URL: Final = re.compile(r"https?://(?:[^/?#@\\\s]*@)?([^/?#@\\\s]+)([/?][^#\\\s]*)", re.IGNORECASE)
# A slash, question mark or number sign in a password that is not encoded ends the authority too early.
_DATABASE_URL: Final = re.compile(
    r"postgres(?:ql)?://(?:[^/?#@\s]*@)?((?:\[[0-9A-Fa-f:.]+\]|[^/?#@:,\s\[\]]*)(?::\d{1,5})?(?:,[^/?#@\s]+)?)(?:/[^?#@\s]*)?(?:\?[^#\s]*)?"
)
_SENTINEL_URL: Final = re.compile(
    r"rediss?\+sentinel://(?:[^/?#@\s]*@)?([^/?#@\s]+)/[A-Za-z0-9._-]+(?:/\d*)?(?:\?[^#\s]*)?", re.IGNORECASE
)
_SENTINEL: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[1-9]\d{0,4})?")
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_KEY: Final = "{key}"
_RECEIPT_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}")

SECRET_CHARACTERS: Final = 32
"""Shortest secret of an HMAC with SHA-256 (RFC 7518 section 3.2)."""


def _refused(sentence: str, **facts: str) -> PydanticCustomError:
    return PydanticCustomError("setting", sentence, facts)


def _items(value: Any) -> Any:
    """A JSON list, or items separated by commas or spaces."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith(("[", "{", '"')):
        return [item for item in re.split(r"[,\s]+", value) if item]
    try:
        return json.loads(value)
    except ValueError:
        raise _refused('Must be a JSON list such as ["a", "b"], or items separated by commas') from None


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        # A name that ends in a number is an IPv4 address, and wrong.
        return bool(_HOST_NAME.fullmatch(text)) and not text.rpartition(".")[2].isdigit()
    return True


def _host_and_port(scheme: str, authority: str) -> tuple[str, int | None] | None:
    """The host in ASCII and lower case, and the port unless it is the scheme's own; None: not valid."""
    try:
        url = URL(f"{scheme}://{authority}")
        if authority.endswith(":") or url.explicit_port == 0:
            return None
        return url.raw_host or "", None if url.is_default_port() else url.explicit_port
    except ValueError:
        return None


def _origin(text: str) -> str:
    """An origin as browsers send it (RFC 6454 section 6.2), `*`, or `https://*.example.com` for every subdomain."""
    if text == "*":
        return text
    found = _ORIGIN.fullmatch(text)
    scheme = found[1].lower() if found else ""
    parts = _host_and_port(scheme, found[2]) if found else None
    if parts is None or not (_is_host(parts[0]) or _SUBDOMAINS.fullmatch(parts[0])):
        raise _refused(
            "'{origin}' is not an origin. Expected: SCHEME://HOST[:PORT] without a path, such as https://app.example; "
            "https://*.app.example for all of its subdomains; or * for every page, also local files and sandboxed ones",
            origin=text[:200],
        )
    host = f"[{parts[0]}]" if ":" in parts[0] else parts[0]
    return f"{scheme}://{host}" + (f":{parts[1]}" if parts[1] is not None else "")


def _header(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise _refused("'{name}' is not the name of a header, such as X-Api-Key, and not *", name=text[:200])
    return text


def _base_url(text: str) -> str:
    """Without the slash at its end."""
    if text and not _is_url(text):
        raise _refused("Must be http(s)://HOST[:PORT][/PATH], without a user, a query or a fragment")
    return text.rstrip("/")


def _cell_urls(value: Any) -> Any:
    """A JSON object, or NUMBER=URL items: pairs in the order of the numbers."""
    pairs: dict[int, str] = {}
    found = _items(value)
    for item in [f"{number}={url}" for number, url in found.items()] if isinstance(found, dict) else found:
        number, _, url = str(item).partition("=")
        if not re.fullmatch(r"[0-9]{1,3}", number) or int(number) >= CELLS or not url:
            raise _refused("'{item}' is not NUMBER=URL, such as 0=https://upload.example", item=str(item)[:200])
        if int(number) in pairs:
            raise _refused("Must name the cell {number} once", number=number)
        pairs[int(number)] = _base_url(url)
    if len(set(pairs.values())) < len(pairs):
        raise _refused("Must name a URL of its own for each cell")
    return tuple(sorted(pairs.items()))


def _purge_url(value: SecretStr) -> SecretStr:
    """As `_redis_url`: the value may contain a password."""
    text = value.get_secret_value()
    found = _PURGE_URL.fullmatch(text)
    if text and not (found and _is_url(f"http://{found[1]}") and _KEY in found[2]):
        raise _refused("Must be an http(s) URL with {key} in its path or query, such as http://cache.example/{key}")
    if found and re.search(r"[{}]", found[2].replace(_KEY, "")):
        raise _refused("Must contain no braces except {key}")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    """The value may contain a password, so the message does not repeat it."""
    try:
        url = urlsplit(value.get_secret_value())
        found = _SENTINEL_URL.fullmatch(value.get_secret_value())
        of_sentinel = found is not None and all(map(_SENTINEL.fullmatch, found[1].split(",")))
        valid = (
            of_sentinel
            or url.scheme == "unix"
            or bool(
                url.scheme in {"redis", "rediss"}
                and url.hostname
                and url.port != 0
                and re.fullmatch(r"(/\d*)?", url.path)
            )
        )
    except ValueError:
        valid = False
    if not valid:
        raise _refused(
            "Must be redis://, rediss:// or unix://, such as redis://HOST:PORT/0, where 0 is the database; with "
            "Sentinel redis+sentinel:// or rediss+sentinel://, such as redis+sentinel://HOST:PORT,HOST:PORT/NAME/0, "
            "where NAME is that of the primary"
        )
    return value


def _database_url(value: SecretStr) -> SecretStr:
    """As `_redis_url`: the message does not repeat the value, and nothing later reads a part of the password as a
    host or port and reports it."""
    text = value.get_secret_value()
    if not _DATABASE_URL.fullmatch(text):
        raise _refused(
            "Must be the URL of a PostgreSQL database, such as postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in the "
            "password, encode what is neither a letter nor a digit as %XX"
        )
    if parse_qs(urlsplit(text).query).get("sslmode", ["prefer"])[-1] not in _SSL_MODES:
        raise _refused(f"Its sslmode must be one of {', '.join(_SSL_MODES)}")
    return value


def _ca_file(value: Path | None) -> Path | None:
    if value is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=value)
        except (OSError, ValueError):
            raise _refused("Must name a readable file of CA certificates in PEM") from None
    return value


def _is_url(text: str) -> bool:
    found = _BASE_URL.fullmatch(text)
    parts = _host_and_port("http", found[1]) if found else None
    return parts is not None and _is_host(parts[0])


def _listen_host(text: str) -> str:
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not _is_host(host.lower()):
        raise _refused(
            "Must be an IP address or a host name, without a scheme and a port, such as 127.0.0.1 or 0.0.0.0"
        )
    return host


def _network(text: str) -> str:
    """An address or a network as `ipaddress` writes it."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise _refused(
            "'{network}' is not an IP address or a network, such as 10.0.0.7 or 10.0.0.0/8", network=text[:200]
        ) from None


def _signing_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < SECRET_CHARACTERS:
        raise _refused(f"Must have {SECRET_CHARACTERS} characters or more; `openssl rand -hex 32` prints one")
    return value


def _receipt_key(value: SecretStr) -> SecretStr:
    if not _RECEIPT_KEY.fullmatch(value.get_secret_value()):
        raise _refused("Must be a key as `sluice receipt new-key` prints it: 43 characters, 32 bytes in base64url")
    return value


def _optional_secret(value: SecretStr) -> SecretStr:
    return _signing_secret(value) if value.get_secret_value() else value


def _pem_blocks(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return re.findall(r"-----BEGIN [^-]+-----.*?-----END [^-]+-----", value, re.DOTALL)


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items)]
OriginList = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_items)]
HeaderList = Annotated[tuple[Annotated[str, AfterValidator(_header)], ...], NoDecode, BeforeValidator(_items)]
SigningSecrets = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_signing_secret)], ...], NoDecode, BeforeValidator(_items)
]
ReceiptKeys = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_receipt_key)], ...], NoDecode, BeforeValidator(_items)
]
OptionalSecret = Annotated[SecretStr, AfterValidator(_optional_secret)]
PublicKeys = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_pem_blocks)]
NetworkList = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], NoDecode, BeforeValidator(_items)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
CaFile = Annotated[Path | None, AfterValidator(_ca_file)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
CellUrls = Annotated[tuple[tuple[int, str], ...], NoDecode, BeforeValidator(_cell_urls)]
PurgeUrl = Annotated[SecretStr, AfterValidator(_purge_url)]
ListenHost = Annotated[str, AfterValidator(_listen_host)]
UpperCase = BeforeValidator(_upper)
