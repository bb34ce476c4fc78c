"""Addresses and credentials of the embedded servers, for gateways, workers and tests.

The passwords are random (`passwords`), and belong to servers that listen on loopback only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SwiftEndpoint:
    """The Swift proxy with its own authentication (tempauth), and the S3 API of the same proxy."""

    auth_url: str
    """v1 authentication: GET with X-Auth-User and X-Auth-Key."""
    user: str
    """`account:user`, the value of X-Auth-User."""
    other_user: str
    """Of a second account, with the same key. No cell uses it: for what changes a whole account."""
    key: str
    proxy_url: str
    storage_url: str
    """The user's account; containers are below it."""
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    s3_region: str


@dataclass(frozen=True)
class KeystoneEndpoint:
    """Keystone, and the second Swift proxy, which validates tokens with it."""

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
    """The S3 API of this proxy accepts EC2 credentials (region us-east-1)."""
    proxy_url: str
    storage_url: str
    delegated_username: str
    """A user whose tokens may be given to clients: it may write to the containers of `let_delegated_user_write`, and
    nothing else."""
    delegated_password: str
    token_log_path: Path
    """Keystone's access log, with one line per request; see `count_token_requests`."""
    admin_username: str
    admin_password: str
    admin_project: str

    def count_token_requests(self) -> int:
        """How many tokens clients have requested so far, without those that the Swift proxy requests for itself."""
        try:
            lines = self.token_log_path.read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return 0
        return sum('"POST /v3/auth/tokens ' in line and _PROXY_AGENT not in line for line in lines)


# The user agent of the Swift proxy's token middleware in Keystone's access log.
_PROXY_AGENT = "keystonemiddleware"
