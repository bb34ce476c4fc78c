"""Checks what docs/internet.md asks for: secrets, keys, addresses, TLS, and the modes of directories."""

from __future__ import annotations

import math
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from deploy.cli.doctor.findings import Findings
from deploy.cli.doctor.transport import is_local
from pipeline.bootstrap.access import AccessSettingsError, api_keys, check_access, is_loopback
from pipeline.core.access import Scope
from pipeline.core.errors import SluiceError
from pipeline.ports.access import ApiKey
from pipeline.settings import Settings

_FEWEST_BITS: Final = 96
"""Of a secret, as its characters are distributed; 64 random hex digits have about 250."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_GUIDE: Final = "See docs/internet.md."


async def check_access_rules(settings: Settings, findings: Findings) -> None:
    """Reads the keys from PostgreSQL. Adds no finding about them when PostgreSQL is unavailable: its own check does."""
    try:
        check_access(settings)
    except AccessSettingsError as error:
        findings.error(str(error), f"The gateway does not start. {_GUIDE}")
    if settings.auth == "none":
        findings.ok(
            f"every program on this machine may call without a key (SLUICE_AUTH=none, on {settings.host})",
            f"Set SLUICE_AUTH=required before other machines can reach the gateway. {_GUIDE}",
        )
    else:
        judge_secrets(settings, findings)
        judge_address(settings, findings)
        with suppress(SluiceError):
            async with api_keys(settings) as keys:
                judge_keys(await keys.all(), settings, findings)
    judge_urls(_urls(settings), findings)
    judge_modes([path for path in (settings.temp_dir, settings.filesystem_dir) if path is not None], findings)


def judge_secrets(settings: Settings, findings: Findings) -> None:
    """Secrets that can be guessed."""
    named = [("SLUICE_SIGNING_SECRET", item.get_secret_value()) for item in settings.signing_secret]
    named += [
        ("SLUICE_JWT_SECRET", settings.jwt_secret.get_secret_value()),
        ("SLUICE_EVENTS_TOKEN", settings.events_token.get_secret_value()),
    ]
    weak = sorted({name for name, secret in named if secret and _bits(secret) < _FEWEST_BITS})
    for name in weak:
        findings.error(f"{name} can be guessed", "Set it to the output of `openssl rand -hex 32`.")
    if not weak:
        findings.ok("its secrets are long and random")
    if len(settings.signing_secret) > 1:
        findings.ok(
            f"{len(settings.signing_secret)} signing secrets are accepted; the first one signs",
            "Remove the old ones when every token that they signed has expired.",
        )


def judge_address(settings: Settings, findings: Findings) -> None:
    """The address on which the gateway listens, and the URL that clients use."""
    https = urlsplit(settings.public_url).scheme == "https"
    if is_loopback(settings.host):
        findings.ok(f"listens on {settings.host}, which only this machine reaches")
    elif not settings.trusted_proxies:
        findings.warning(
            f"listens on {settings.host}, and no proxy is set: the gateway does not speak TLS, so keys and files "
            "can be read on the way",
            "Put a proxy that speaks TLS in front of it, and set SLUICE_TRUSTED_PROXIES to its address. " + _GUIDE,
        )
    else:
        findings.ok(f"listens on {settings.host}, behind {', '.join(settings.trusted_proxies)}")
    if settings.trust_forwarded and not (is_loopback(settings.host) or settings.trusted_proxies):
        findings.warning(
            "trusts X-Forwarded-Host of every caller (SLUICE_TRUST_FORWARDED): a caller can choose where links lead",
            "Let only the proxy reach the gateway, or set SLUICE_PUBLIC_URL instead.",
        )
    if settings.public_url and not https and not is_local(urlsplit(settings.public_url).hostname or ""):
        findings.warning(
            f"SLUICE_PUBLIC_URL is {settings.public_url}: clients send keys and files without TLS",
            "Serve it by https, and set SLUICE_PUBLIC_URL to that URL.",
        )


def judge_keys(keys: Sequence[ApiKey], settings: Settings, findings: Findings) -> None:
    """The API keys that are valid now."""
    now = datetime.now(UTC)
    valid = [k for k in keys if k.revoked_at is None and (k.expires_at is None or k.expires_at > now)]
    forever = [key for key in valid if Scope.OPERATE in key.scopes and key.expires_at is None]
    if not valid and not settings.jwt_issuer:
        findings.warning(
            "every request is refused: there is no valid API key, and no identity provider is set",
            "sluice key create --owner NAME --scope upload --scope read",
        )
    else:
        findings.ok(f"valid API keys: {len(valid)}")
    if forever:
        findings.warning(
            f"keys with the scope operate that never expire: {', '.join(key.key_id for key in forever[:5])}"
            + (f", and {more} more" if (more := len(forever) - 5) > 0 else ""),
            "Create keys with --expires 90d, and revoke these: sluice key revoke ID",
        )


def judge_urls(urls: Mapping[str, str], findings: Findings) -> None:
    """Warn of connections that leave the machine without TLS. `urls`: by the names of their settings."""
    plain = [name for name, url in urls.items() if url.startswith("http://") and not is_local(_host(url))]
    for name in plain:
        findings.warning(
            f"{name} is {urls[name]}, on another machine and without TLS: passwords, tokens and data can be read and "
            "changed on the way",
            "Use https, with SLUICE_STORE_CA_FILE for a private CA.",
        )
    if not plain:
        findings.ok("the store and the identity provider are reached by TLS, or are on this machine")


def judge_modes(directories: Sequence[Path], findings: Findings) -> None:
    """Directories that other users of the machine can enter. Those that are missing are made with the right mode."""
    open_to_others = [path for path in directories if path.is_dir() and path.stat().st_mode & _OTHERS]
    for path in open_to_others:
        mode = stat.S_IMODE(path.stat().st_mode)
        findings.warning(f"other users can read {path} (mode {mode:04o})", f"chmod 700 {path}")
    if not open_to_others:
        findings.ok("other users cannot read its directories")


def _urls(settings: Settings) -> dict[str, str]:
    names = ("swift_auth_url", "swift_public_url", "s3_endpoint_url", "s3_public_url", "jwt_jwks_url")
    used = {"swift": "swift", "s3": "s3"}.get(settings.store, "-")
    found = {name: getattr(settings, name) for name in names if name.startswith((used, "jwt"))}
    found["cdn_purge_url"] = settings.cdn_purge_url.get_secret_value()
    return {f"SLUICE_{name.upper()}": url for name, url in found.items() if url}


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _bits(secret: str) -> float:
    """Shannon's entropy of the characters, times their number. Repetition of a whole part is not seen twice."""
    lengths = range(1, len(secret) // 2 + 1)
    part = next((secret[:length] for length in lengths if secret == secret[:length] * (len(secret) // length)), secret)
    counts = Counter(part)
    return -sum(count * math.log2(count / len(part)) for count in counts.values())
