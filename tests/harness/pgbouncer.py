"""PgBouncer in front of a PostgreSQL server: the Debian package `pgbouncer`. It trusts every client.

In transaction mode its pools are so small that clients share server connections all the time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from deploy.embedded.ports import LOOPBACK, ReservedPort
from deploy.embedded.postgres import USER, takes_connections
from deploy.embedded.process import ChildProcess, run_all
from deploy.embedded.users import unprivileged_user

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

_CONFIGURATION = """\
[databases]
* = host={host} port={server_port}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {mode}
default_pool_size = {connections}
max_client_conn = 500
server_login_retry = 0.2
"""


@contextmanager
def pgbouncer(database_url: str, mode: str = "transaction") -> Iterator[str]:
    """Run PgBouncer in front of the server of `database_url`; yields the URL without the database's name."""
    assert PGBOUNCER is not None
    user = unprivileged_user()  # it refuses to run as root
    port = ReservedPort()
    # Not below pytest's directories, which another user cannot enter.
    directory = Path(tempfile.mkdtemp(prefix="sluice-pgbouncer-"))
    try:
        users, configuration = directory / "users.txt", directory / "pgbouncer.ini"
        users.write_text(f'"{USER}" "{urlsplit(database_url).password}"\n')
        configuration.write_text(
            _CONFIGURATION.format(
                host=LOOPBACK,
                server_port=urlsplit(database_url).port,
                port=port.number,
                users=users,
                mode=mode,
                connections=30 if mode == "session" else 3,  # a session holds its connection as long as it lasts
            )
        )
        if user is not None:
            for path in (directory, users, configuration):
                os.chown(path, user.uid, user.gid)
        process = ChildProcess(
            name="pgbouncer",
            command=[PGBOUNCER, str(configuration)],
            log_path=directory / "log",
            environment={},
            is_ready=lambda: takes_connections(port.number),
            user=user,
        )
        try:
            run_all([process.bring_up()])
            yield f"postgresql://{USER}@{LOOPBACK}:{port.number}"
        finally:
            process.stop()
    finally:
        port.release()
        shutil.rmtree(directory, ignore_errors=True)
