"""Writes the account, container and object rings of a Swift with one device on loopback.

    python -I swift_rings.py ETC_DIRECTORY DEVICE ACCOUNT_PORT CONTAINER_PORT OBJECT_PORT

Does what swift-ring-builder create, add and rebalance do, in one process. 64 partitions, one replica.
"""

import importlib
import os
import sys

_PARTITION_POWER = 6
_REPLICAS = 1


def main() -> None:
    etc_directory, device = sys.argv[1:3]
    builder_class = importlib.import_module("swift.common.ring.builder").RingBuilder
    for name, port in zip(("account", "container", "object"), sys.argv[3:], strict=True):
        builder = builder_class(_PARTITION_POWER, _REPLICAS, min_part_hours=0)
        address = {"ip": "127.0.0.1", "port": int(port), "replication_ip": "127.0.0.1", "replication_port": int(port)}
        builder.add_dev({"region": 1, "zone": 1, "device": device, "weight": 1.0, "meta": "", **address})
        builder.rebalance(seed="1")
        path = os.path.join(etc_directory, f"{name}.ring.gz")
        builder.get_ring().save(path)
        os.chmod(path, 0o600)  # Swift lets everybody read it


if __name__ == "__main__":
    main()
