"""Whether passwords and data travel to another machine unprotected. Pure functions of URLs."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import parse_qs, unquote, urlsplit

from deploy.cli.doctor.findings import Findings

_VERIFIED = ("verify-ca", "verify-full")


def judge_redis_transport(url: str, findings: Findings) -> None:
    """`url` as redis-py reads it."""
    parts = urlsplit(url)
    hosts = [_host(item) for item in parts.netloc.rpartition("@")[2].split(",")]
    if parts.scheme == "unix" or all(map(is_local, hosts)):
        return
    if parts.scheme not in ("rediss", "rediss+sentinel"):
        findings.warning(
            "is on another machine and is reached without TLS, so its password and all uploads can be read and "
            "changed on the way",
            "Set SLUICE_REDIS_URL=rediss://..., and SLUICE_REDIS_CA_FILE for a private CA.",
        )
    elif parse_qs(parts.query).get("ssl_cert_reqs", ["required"])[0] == "none":
        findings.warning(
            "its certificate is not verified (ssl_cert_reqs=none), so that another server can take its place",
            "Remove ssl_cert_reqs from SLUICE_REDIS_URL, and set SLUICE_REDIS_CA_FILE for a private CA.",
        )
    else:
        findings.ok("reached by TLS with a verified certificate")


def judge_database_transport(url: str, findings: Findings) -> None:
    """`url` as libpq and asyncpg read it."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    listed = parts.netloc.rpartition("@")[2].split(",") + query.get("host", [""])[-1].split(",")
    hosts = [_host(item) for item in listed if item]
    if all(is_local(host) for host in hosts or [os.environ.get("PGHOST", "")]):
        return
    mode = query.get("sslmode", [os.environ.get("PGSSLMODE") or "prefer"])[-1]
    if mode in _VERIFIED:
        findings.ok(f"reached by TLS with a verified certificate (sslmode={mode})")
        return
    findings.warning(
        f"is on another machine, and its certificate is not verified (sslmode={mode}), so that another server can take "
        "its place and read its password",
        "Add ?sslmode=verify-full to SLUICE_DATABASE_URL, and &sslrootcert=FILE for a private CA.",
    )


def is_local(host: str) -> bool:
    """Whether a connection to this host does not leave the machine: loopback, or the directory of a socket."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost") or host.startswith(("/", "@"))


def _host(item: str) -> str:
    """`host`, `host:port` or `[address]:port`, where a host may be an encoded path."""
    if item.startswith("["):
        return item[1:].partition("]")[0]
    name, _, port = item.rpartition(":")
    return unquote(name if port.isdigit() and name and ":" not in name else item)
