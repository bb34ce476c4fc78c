"""Settings of the memory allocator: a process keeps the heap of a block that it has freed."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

# A block of 1 MiB has 256 pages, each of which causes a fault when the block is mapped anew.
PROGRAM = """
import ctypes, resource
from deploy.cli import allocator
if {changed}:
    {change}
applied = allocator.keep_blocks()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = [bytes(1024 * 1024) for _ in range(4)]
del first
before = faults()
for _ in range(100):
    blocks = [bytes(1024 * 1024) for _ in range(4)]
    del blocks
print(applied, (faults() - before) // 400)
"""


def run(change: str = "") -> tuple[bool, int]:
    """Whether the settings were applied, and the page faults of each block of 1 MiB."""
    program = PROGRAM.format(changed=bool(change), change=change or "pass")
    applied, faults = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    return applied == "True", int(faults)


@pytest.mark.skipif(not hasattr(__import__("ctypes").CDLL(None), "gnu_get_libc_version"), reason="no glibc")
def test_blocks_are_not_mapped_anew() -> None:
    applied, faults = run()
    assert applied
    assert faults < 64


@pytest.mark.parametrize(
    "change",
    ["ctypes.CDLL = lambda _: object()", "def CDLL(name): raise OSError('static')\n    ctypes.CDLL = CDLL"],
    ids=["another C library", "no library"],
)
def test_a_process_without_such_settings_goes_on(change: str) -> None:
    assert run(change)[0] is False
