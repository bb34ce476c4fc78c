"""Free memory of the heap is given back to the kernel."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

# Each second block stays, so that glibc itself gives nothing back.
PROGRAM = """
import sys
from deploy.cli.allocator import keep_blocks
from pipeline.heap import return_free
keep_blocks()
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
blocks = [b"x" * (64 * 1024) for _ in range(1000)]
kept = blocks[::2]
del blocks
before = resident()
print(return_free(), (before - resident()) // 1024**2)
"""


@pytest.mark.skipif(not hasattr(__import__("ctypes").CDLL(None), "malloc_trim"), reason="no glibc")
def test_free_blocks_between_others_are_given_back() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    did, mebibytes = ran.stdout.split()
    assert did == "True"
    assert int(mebibytes) > 15


def test_another_c_library_is_left_as_it_is() -> None:
    program = "import ctypes; from pipeline import heap; ctypes.CDLL = lambda _: object(); print(heap.return_free())"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
