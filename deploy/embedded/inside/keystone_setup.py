"""Creates Keystone's database: keystone-manage db_sync and bootstrap in one process.

    OS_BOOTSTRAP_PASSWORD=... python -I keystone_setup.py CONFIGURATION_FILE PUBLIC_URL REGION

One process instead of two imports Keystone once less, which saves 2.5 s.
"""

import importlib
import sys


def main() -> None:
    configuration_file, url, region = sys.argv[1:]
    cli = importlib.import_module("keystone.cmd.cli")
    configuration = importlib.import_module("keystone.conf").CONF
    bootstrap = ["bootstrap", "--bootstrap-region-id", region]
    for interface in ("admin", "public", "internal"):
        bootstrap += [f"--bootstrap-{interface}-url", url]
    for command in (["db_sync"], bootstrap):
        sys.argv = ["keystone-manage", "--config-file", configuration_file, *command]
        cli.main(sys.argv)
        configuration.reset()


if __name__ == "__main__":
    main()
