"""Swift's configuration files: one device, one replica, one process per server, all on loopback.

Where a value differs from Swift's default, a comment gives the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.ports import LOOPBACK

DEVICE = "d1"
ACCOUNT = USER = "media"
OTHER_ACCOUNT = "other"
S3_REGION = "us-east-1"
# The user with which the Keystone proxy itself logs in, to validate tokens.
SERVICE_USER, SERVICE_PROJECT = "swift", "service"

SWIFT_CONF = """\
[swift-hash]
swift_hash_path_prefix = sluice
swift_hash_path_suffix = sluice
[storage-policy:0]
name = default
default = yes
"""

_COMMON = """\
[DEFAULT]
bind_ip = {loopback}
bind_port = {port}
# no fork: the process that we start is the server
workers = 0
swift_dir = {etc}
log_name = {name}
log_level = INFO
"""

_BACKEND = """\
devices = {devices}
mount_check = false
# the temp volume's headroom guards against a full disk, not a percentage of a developer's disk
fallocate_reserve = 0
[pipeline:main]
pipeline = healthcheck {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
[filter:healthcheck]
use = egg:swift#healthcheck
"""

# Sends container updates that failed at first; without it a listing may lack objects forever.
_UPDATER = """\
[object-updater]
interval = 5
recon_cache_path = {run}
"""

_PROXY = """\
# pages of the gateway's origin may send requests to the store itself (presigned URLs)
cors_allow_origin = *
cors_expose_headers = etag, x-timestamp, x-trans-id
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk tempurl formpost {auth} \
copy slo dlo versioned_writes symlink proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
# the defaults (0.5 s, 10 s) give 503 on a busy laptop, and ten errors would exclude the only device
conn_timeout = 5
node_timeout = 60
recoverable_node_timeout = 60
error_suppression_limit = 1000000
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
paste.filter_factory = swift_memory_cache:filter_factory
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
allowed_digests = sha256 sha512
[filter:formpost]
use = egg:swift#formpost
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
# delete at once: asynchronous deletion leaves segments behind unless an object-expirer runs
allow_async_delete = false
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
[filter:s3api]
use = egg:swift#s3api
location = {s3_region}
cors_preflight_allow_origin = *
"""

_TEMPAUTH = """\
[filter:tempauth]
use = egg:swift#tempauth
token_life = {token_lifetime_seconds}
user_{account}_{user} = {key} .admin
user_{other_account}_{user} = {key} .admin
"""

# authtoken, s3api, s3token, keystoneauth: in any other order signed S3 requests fail with SignatureDoesNotMatch.
_KEYSTONE_FILTERS = """\
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {keystone_url}
auth_url = {keystone_url}
{service_login}
delay_auth_decision = true
cache = swift.cache
token_cache_time = {token_cache_seconds}
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, swiftoperator
[filter:s3token]
use = egg:swift#s3token
auth_uri = {keystone_url}/v3
auth_url = {keystone_url}/v3
{service_login}
delay_auth_decision = true
# without it every S3 request fetches the secret from Keystone, which is ten times slower
secret_cache_duration = 60
"""

_SERVICE_LOGIN = """\
auth_type = password
username = {user}
password = {password}
project_name = {project}
user_domain_id = default
project_domain_id = default"""


@dataclass(frozen=True)
class SwiftPaths:
    """Swift's part of a stack's directory."""

    home: Path

    @property
    def etc(self) -> Path:
        return self.home / "etc"

    @property
    def devices(self) -> Path:
        return self.home / "srv"

    @property
    def run(self) -> Path:
        return self.home / "run"


def backend_conf(kind: str, port: int, paths: SwiftPaths) -> str:
    """account-server.conf, container-server.conf or object-server.conf; the last also configures the object-updater."""
    text = _COMMON.format(loopback=LOOPBACK, port=port, etc=paths.etc, name=f"{kind}-server")
    text += _BACKEND.format(kind=kind, devices=paths.devices)
    return text + _UPDATER.format(run=paths.run) if kind == "object" else text


def tempauth_proxy_conf(port: int, paths: SwiftPaths, key: str, token_lifetime_seconds: int) -> str:
    text = _COMMON.format(loopback=LOOPBACK, port=port, etc=paths.etc, name="proxy-server")
    text += _PROXY.format(auth="s3api tempauth", s3_region=S3_REGION)
    return text + _TEMPAUTH.format(
        token_lifetime_seconds=token_lifetime_seconds, account=ACCOUNT, other_account=OTHER_ACCOUNT, user=USER, key=key
    )


def keystone_proxy_conf(
    port: int, paths: SwiftPaths, keystone_url: str, password: str, token_cache_seconds: int
) -> str:
    text = _COMMON.format(loopback=LOOPBACK, port=port, etc=paths.etc, name="proxy-keystone")
    text += _PROXY.format(auth="authtoken s3api s3token keystoneauth", s3_region=S3_REGION)
    return text + _KEYSTONE_FILTERS.format(
        keystone_url=keystone_url,
        token_cache_seconds=token_cache_seconds,
        service_login=_SERVICE_LOGIN.format(user=SERVICE_USER, password=password, project=SERVICE_PROJECT),
    )
