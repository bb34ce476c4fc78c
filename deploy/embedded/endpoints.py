"""Where the embedded servers answer and who may log in: what a gateway, a worker or a test needs to reach them.

Passwords here belong to servers that listen on loopback and are thrown away with their directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SwiftEndpoint:
    """The Swift proxy that authenticates by itself (tempauth), and the S3 API of the same proxy."""

    auth_url: str
    """v1 authentication: GET with X-Auth-User and X-Auth-Key."""
    user: str
    """`account:user`, as X-Auth-User wants it."""
    key: str
    proxy_url: str
    storage_url: str
    """The user's account; containers lie below it."""
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    s3_region: str


@dataclass(frozen=True)
class KeystoneEndpoint:
    """Keystone, and the second Swift proxy, which asks it who a token belongs to."""

    auth_url: str
    """Ends in /v3."""
    username: str
    password: str
    project: str
    project_id: str
    user_domain: str
    project_domain: str
    region: str
    application_credential_id: str
    application_credential_secret: str
    ec2_access_key: str
    ec2_secret_key: str
    """EC2 credentials are what the S3 API of this proxy accepts (region us-east-1)."""
    proxy_url: str
    storage_url: str
    token_log_path: Path
    """Keystone's access log, one line per answered request: see `count_token_requests`."""
    admin_username: str
    admin_password: str
    admin_project: str

    def count_token_requests(self) -> int:
        """How many tokens clients have asked for so far; those that the Swift proxy asks for itself do not count."""
        try:
            lines = self.token_log_path.read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return 0
        return sum('"POST /v3/auth/tokens ' in line and _PROXY_AGENT not in line for line in lines)


# What the Swift proxy's own token middleware calls itself in Keystone's access log.
_PROXY_AGENT = "keystonemiddleware"
