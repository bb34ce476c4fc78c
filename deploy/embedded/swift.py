"""Swift: account, container and object server, the object-updater, and one proxy per authentication method.

All of it is real except the cache, which is in the proxy's memory instead of memcached. Objects survive a restart of
the stack. Each start uses new ports and therefore writes new rings.
"""

from __future__ import annotations

import os

from deploy.embedded.endpoints import SwiftEndpoint
from deploy.embedded.errors import StackError
from deploy.embedded.http import answers
from deploy.embedded.layout import Layout
from deploy.embedded.passwords import Passwords
from deploy.embedded.ports import LOOPBACK, PortPool
from deploy.embedded.process import BringUp, ChildProcess, side_by_side
from deploy.embedded.servers_venv import servers_command, servers_python
from deploy.embedded.swift_config import (
    ACCOUNT,
    DEVICE,
    OTHER_ACCOUNT,
    S3_REGION,
    SWIFT_CONF,
    USER,
    SwiftPaths,
    backend_conf,
    keystone_proxy_conf,
    tempauth_proxy_conf,
)

_BACKENDS = ("account", "container", "object")


class Swift:
    """One Swift with one device in DIRECTORY/swift."""

    def __init__(self, layout: Layout, ports: PortPool, passwords: Passwords, *, token_lifetime_seconds: int) -> None:
        self._passwords = passwords
        self._layout = layout
        self._ports = ports
        self._token_lifetime_seconds = token_lifetime_seconds
        self._paths = SwiftPaths(layout.directory / "swift")
        self.proxy_url = f"http://{LOOPBACK}:{ports.port('proxy-server')}"
        self.processes: list[ChildProcess] = []
        self.keystone_proxy_url = f"http://{LOOPBACK}:{ports.port('proxy-keystone')}"

    @property
    def endpoint(self) -> SwiftEndpoint:
        return SwiftEndpoint(
            auth_url=f"{self.proxy_url}/auth/v1.0",
            user=f"{ACCOUNT}:{USER}",
            other_user=f"{OTHER_ACCOUNT}:{USER}",
            key=self._passwords.swift,
            proxy_url=self.proxy_url,
            storage_url=f"{self.proxy_url}/v1/AUTH_{ACCOUNT}",
            s3_endpoint=self.proxy_url,
            s3_access_key=f"{ACCOUNT}:{USER}",
            s3_secret_key=self._passwords.swift,
            s3_region=S3_REGION,
        )

    def prepare(self, keystone_url: str | None, token_cache_seconds: int) -> None:
        """Creates directories and configuration files; with `keystone_url`, also for a second proxy."""
        servers_python()  # raises before anything is started when Swift is not installed
        for directory in (self._paths.etc, self._paths.run, self._paths.devices / DEVICE):
            directory.mkdir(parents=True, exist_ok=True)
        self._require_extended_attributes()
        self._write("swift.conf", SWIFT_CONF)
        for kind in _BACKENDS:
            self._write(f"{kind}-server.conf", backend_conf(kind, self._ports.port(f"{kind}-server"), self._paths))
        port = self._ports.port("proxy-server")
        self._write(
            "proxy-server.conf",
            tempauth_proxy_conf(port, self._paths, self._passwords.swift, self._token_lifetime_seconds),
        )
        if keystone_url is not None:
            port = self._ports.port("proxy-keystone")
            text = keystone_proxy_conf(
                port, self._paths, keystone_url, self._passwords.keystone_swift, token_cache_seconds
            )
            self._write("proxy-keystone.conf", text)

    def bring_up(self, *, keystone: bool) -> BringUp:
        """Starts the storage servers at once, and the servers that read the rings as soon as those are written."""
        backends = [self._server(f"{kind}-server", f"{kind}-server") for kind in _BACKENDS]
        front = [self._server("proxy-server", "proxy-server")]
        if keystone:
            front.append(self._server("proxy-keystone", "proxy-server"))
        front.append(self._child("object-updater", self._command("object-updater", "object-server")))
        self.processes = [*backends, *front]
        yield from side_by_side([self._rings_then(front), *(child.bring_up() for child in backends)])

    def _rings_then(self, readers: list[ChildProcess]) -> BringUp:
        ports = [str(self._ports.port(f"{kind}-server")) for kind in _BACKENDS]
        tool = self._child("swift-rings", servers_command("swift_rings.py", str(self._paths.etc), DEVICE, *ports))
        yield from tool.run_to_end()
        yield from side_by_side(child.bring_up() for child in readers)

    def _server(self, name: str, program: str) -> ChildProcess:
        child = self._child(name, self._command(program, name))
        url = f"http://{LOOPBACK}:{self._ports.port(name)}/healthcheck"
        child.is_ready = lambda: answers(url)
        return child

    def _command(self, program: str, configuration: str) -> list[str]:
        etc = self._paths.etc
        return servers_command("swift_main.py", str(etc), program, str(etc / f"{configuration}.conf"))

    def _child(self, name: str, command: list[str]) -> ChildProcess:
        return ChildProcess(
            name=name,
            command=command,
            log_path=self._layout.log(name),
            environment=self._layout.server_environment(),
        )

    def _write(self, name: str, text: str) -> None:
        path = self._paths.etc / name
        path.touch(mode=0o600)
        path.write_text(text)

    def _require_extended_attributes(self) -> None:
        """Swift keeps an object's metadata in user.* attributes of its file, which older tmpfs does not support."""
        probe = self._paths.run / "probe"
        probe.touch()
        try:
            os.setxattr(probe, "user.sluice", b"1")
        except OSError as error:
            raise StackError(
                f"Swift needs user extended attributes, which the filesystem of {self._layout.directory} does not"
                f" support ({error}): choose another directory"
            ) from error
        finally:
            probe.unlink()
