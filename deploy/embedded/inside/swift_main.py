"""Runs one Swift server or daemon whose configuration is not in /etc/swift.

    python -I swift_main.py ETC_DIRECTORY NAME CONFIGURATION_FILE

`swift_dir` in a server's own file moves rings and the hash prefix only; limits and storage policies are read at import
from /etc/swift/swift.conf, and daemons such as the object-updater look nowhere else. So they are read again from ours.
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
    """Swift's drop_privileges needs a user name; we run as who we are, who may have none (any uid in a container)."""


def main() -> None:
    etc_directory, name, configuration_file = sys.argv[1:]
    here = str(Path(__file__).parent)
    sys.path.append(here)  # after all else: finds fork_guard and swift_memory_cache, hides nothing
    importlib.import_module("fork_guard").install()

    utils: Any = importlib.import_module("swift.common.utils")
    wsgi: Any = importlib.import_module("swift.common.wsgi")
    utils.SWIFT_CONF_FILE = os.path.join(etc_directory, "swift.conf")
    utils.drop_privileges = _keep_user
    wsgi.drop_privileges = _keep_user
    importlib.import_module("swift.common.constraints").reload_constraints()
    importlib.import_module("swift.common.storage_policy").reload_storage_policies()

    sys.argv = [f"swift-{name}", configuration_file, "-v"]  # -v: the log goes to stdout as well, that is to our file
    sys.exit(importlib.import_module(_MODULES[name]).main())


if __name__ == "__main__":
    main()
