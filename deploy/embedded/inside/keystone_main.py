"""Runs Keystone under gunicorn.

    python -I keystone_main.py GUNICORN_ARGUMENTS... keystone_application:application

OS_KEYSTONE_CONFIG_DIR names the directory of keystone.conf.
"""

import importlib
import sys
from pathlib import Path


def main() -> None:
    sys.path.append(str(Path(__file__).parent))  # at the end, so that our two modules are found but hide nothing
    importlib.import_module("fork_guard").install()
    sys.argv[0] = "gunicorn"
    importlib.import_module("gunicorn.app.wsgiapp").run()


if __name__ == "__main__":
    main()
