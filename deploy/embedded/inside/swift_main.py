"""Runs one Swift server or daemon whose configuration is not in /etc/swift.

    python -I swift_main.py ETC_DIRECTORY NAME CONFIGURATION_FILE

`swift_dir` in a server's configuration file applies only to rings and the hash prefix. Limits and storage policies are
read from /etc/swift/swift.conf at import, and daemons such as the object-updater read no other file. So this script
reloads them from ETC_DIRECTORY.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

_MODULES = {
    "account-server": "swift.account.server",
    "container-server": "swift.container.server",
    "object-server": "swift.obj.server",
    "object-updater": "swift.obj.updater",
    "proxy-server": "swift.proxy.server",
}


def _keep_user(_user: str) -> None:
    """Replaces Swift's drop_privileges, which needs a user name: in a container, our uid may have none."""


def _keep_umask() -> None:
    """Replaces Swift's clean_up_daemon_hygiene: its umask would let everybody read every object. The process has a
    session of its own, and its directory is / already."""


def main() -> None:
    etc_directory, name, configuration_file = sys.argv[1:]
    here = str(Path(__file__).parent)
    sys.path.append(here)  # at the end, so that fork_guard and swift_memory_cache are found but hide nothing
    importlib.import_module("fork_guard").install()

    utils: Any = importlib.import_module("swift.common.utils")
    wsgi: Any = importlib.import_module("swift.common.wsgi")
    utils.SWIFT_CONF_FILE = os.path.join(etc_directory, "swift.conf")
    utils.drop_privileges = _keep_user
    wsgi.drop_privileges = _keep_user
    utils.clean_up_daemon_hygiene = _keep_umask
    wsgi.clean_up_daemon_hygiene = _keep_umask
    importlib.import_module("swift.common.constraints").reload_constraints()
    importlib.import_module("swift.common.storage_policy").reload_storage_policies()

    sys.argv = [f"swift-{name}", configuration_file, "-v"]  # -v: also log to stdout, which is our log file
    sys.exit(importlib.import_module(_MODULES[name]).main())


if __name__ == "__main__":
    main()
