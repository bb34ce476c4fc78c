"""A Ceph cluster of one monitor and one OSD that keeps its objects in memory, and its object gateway (RGW), which
serves S3 and Swift.

Guarantee: everything is below one directory, which is emptied first, and on free loopback ports. `stop` leaves no
process behind, and the kernel ends the daemons when this process ends. The Debian packages are PACKAGES; none of their
services is used.
"""

from __future__ import annotations

import http.client
import shutil
import signal
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import BringUp, ChildProcess, run_all, stop_all
from tests.harness.system_packages import require_programs

PACKAGES = ("radosgw", "ceph-mon", "ceph-osd", "ceph-common")
PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")

_USER = "sluice"
_SWIFT_USER = f"{_USER}:swift"
_MAX_BUCKETS = "100000"
_PROBE_SECONDS = 1.0

# auth none: the loopback ports are the only way in. RGW encrypts its connection to the monitor by default, which needs
# cephx, hence ms_mon_client_mode. The monitor's short intervals make pools in milliseconds instead of seconds. Removed
# objects free their memory within seconds, not after RGW's two hours.
_CONFIGURATION = """
[global]
fsid = {fsid}
mon_host = v2:{host}:{mon_port}/0
public_addr = {host}
cluster_addr = {host}
ms_bind_ipv6 = false
ms_bind_msgr1 = false
ms_mon_client_mode = crc
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = false
admin_socket =
run_dir = {directory}/run
crash_dir = {directory}/run
paxos_propose_interval = 0.01
paxos_min_wait = 0.01
mon_data_avail_warn = 1
mon_data_avail_crit = 0
mon_max_pg_per_osd = 1000
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 8589934592

[mon.a]
mon_data = {directory}/mon

[osd.0]
osd_data = {directory}/osd

[client.rgw]
rgw_data = {directory}/rgw
rgw_frontends = beast endpoint={host}:{rgw_port}
rgw_enable_apis = s3, swift, swift_auth
rgw_gc_obj_min_wait = 1
rgw_gc_processor_period = 5
rgw_gc_processor_max_time = 5
"""


@dataclass(frozen=True)
class CephEndpoint:
    """Addresses and credentials of one user, through both protocols."""

    url: str
    """The S3 endpoint: buckets are directly below it."""
    access_key: str
    secret_key: str
    region: str
    auth_url: str
    """Swift's v1 authentication, as tempauth's."""
    swift_user: str
    swift_key: str
    storage_url: str
    """The storage URL that a login returns; it names no account."""


def require_ceph() -> None:
    """Skip or fail the test where Ceph is not installed (`system_packages`)."""
    require_programs(PROGRAMS, PACKAGES)


class Ceph:
    """The cluster, as a context manager. Start it from the main thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()
        self._ports = PortPool()
        self._daemons: list[ChildProcess] = []

    @property
    def endpoint(self) -> CephEndpoint:
        url = f"http://{LOOPBACK}:{self._ports.port('rgw')}"
        return CephEndpoint(
            url=url,
            access_key="rgw-access",
            secret_key="rgw-secret",
            region="us-east-1",
            auth_url=f"{url}/auth/v1.0",
            swift_user=_SWIFT_USER,
            swift_key="rgw-swift-secret",
            storage_url=f"{url}/swift/v1",
        )

    def processes(self) -> Mapping[str, int]:
        """The process id of every running daemon, by name."""
        return {daemon.name: daemon.pid for daemon in self._daemons if daemon.pid is not None}

    def __enter__(self) -> Self:
        shutil.rmtree(self._directory, ignore_errors=True)  # of an earlier cluster, whose objects are gone
        for name in ("logs", "run", "mon", "osd", "rgw"):
            (self._directory / name).mkdir(parents=True)
        try:
            run_all([self._bring_up()])
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the daemons; what they stored is lost with them."""
        stop_all(reversed(self._daemons))
        self._daemons = []
        self._ports.release_all()

    def _bring_up(self) -> BringUp:
        fsid, osd_id = str(uuid.uuid4()), str(uuid.uuid4())
        mon_port, rgw_port = self._ports.port("mon"), self._ports.port("rgw")
        configuration = _CONFIGURATION.format(
            fsid=fsid, host=LOOPBACK, directory=self._directory, mon_port=mon_port, rgw_port=rgw_port
        )
        self._configuration_path.write_text(configuration)
        monmap = str(self._directory / "monmap")
        address = f"[v2:{LOOPBACK}:{mon_port}]"
        yield from self._tool("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap)
        yield from self._tool("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        yield from self._daemon("ceph-mon", "-i", "a")
        yield from self._tool("ceph", "osd", "new", osd_id)  # waits for the monitor
        yield from self._tool("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_id)
        yield from self._daemon("ceph-osd", "-i", "0")
        yield from self._users()
        yield from self._daemon("radosgw", "-n", "client.rgw")

    def _users(self) -> BringUp:
        """One user with S3 keys and a subuser for Swift. Creates RGW's first pools, so it waits for the OSD."""
        end = self.endpoint
        user = ("--uid", _USER, "--display-name", _USER, "--max-buckets", _MAX_BUCKETS)
        keys = ("--access-key", end.access_key, "--secret-key", end.secret_key)
        yield from self._admin("user", "create", *user, *keys)
        swift = ("--subuser", _SWIFT_USER, "--access", "full", "--key-type", "swift", "--secret", end.swift_key)
        yield from self._admin("subuser", "create", "--uid", _USER, *swift)

    def _admin(self, *arguments: str) -> BringUp:
        yield from self._tool("radosgw-admin", "-n", "client.rgw", *arguments)

    def _daemon(self, program: str, *arguments: str) -> BringUp:
        """-d: in the foreground, logging to standard error."""
        daemon = self._child(program, *arguments, "-d")
        if program == "radosgw":
            daemon.is_ready = self._responds
        self._daemons.append(daemon)
        yield from daemon.bring_up()

    def _tool(self, program: str, *arguments: str) -> BringUp:
        yield from self._child(program, *arguments).run_to_end()

    def _child(self, program: str, *arguments: str) -> ChildProcess:
        return ChildProcess(
            name=program,
            command=["/usr/bin/env", program, *arguments],
            log_path=self._directory / "logs" / f"{program}.log",
            environment={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(self._directory),
                "LANG": "C.UTF-8",
                "CEPH_CONF": str(self._configuration_path),
            },
            ready_seconds=60.0,
            stop_signal=signal.SIGKILL,  # nothing is kept, so nothing has to be written; SIGTERM takes RGW up to 10 s
        )

    def _responds(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self._ports.port("rgw"), timeout=_PROBE_SECONDS)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    @property
    def _configuration_path(self) -> Path:
        return self._directory / "ceph.conf"
