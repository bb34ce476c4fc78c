"""Attacks from inside the sandbox, each of which succeeds without it: as root, as nobody, and without namespaces."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.harness.attacks.catalogue import ATTACKS
from tests.harness.attacks.run import KILLED, SELF_INFLICTED

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

_ROOT = Path(__file__).parents[3]
_NOBODY = 65534
# What a kernel may refuse to everybody, or to this user, without any sandbox.
_MAY_BE_FORBIDDEN = {
    "create_a_user_namespace",  # user.max_user_namespaces, and filters of container runtimes
    "create_an_io_uring",  # kernel.io_uring_disabled
    "trace_a_process",  # kernel.yama.ptrace_scope
    "call_with_32_bits",  # kernels without CONFIG_IA32_EMULATION
    "call_with_the_numbers_of_x32",  # kernels without CONFIG_X86_X32_ABI, which are most
}
_WAYS = ("as this user", "as nobody", "without namespaces", "as root of a namespace")


@cache
def _found(way: str) -> dict[str, Any]:
    """What came of all attacks."""
    python, words, prefix = sys.executable, list[str](), list[str]()
    identity: dict[str, Any] = {}
    if way == "as nobody":
        if os.getuid():
            pytest.skip("only root can become nobody; this test ran as an ordinary user all the same")
        identity = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        python = _interpreter_for(identity)
    elif way == "without namespaces":
        words = ["--without-namespaces"]
    elif way == "as root of a namespace":
        prefix = ["unshare", "--user", "--map-root-user"]
        if subprocess.run([*prefix, "true"], capture_output=True).returncode:
            pytest.skip("this kernel creates no user namespaces")
    program = (
        "import runpy, sys; sys.path += sys.argv.pop(1).split(':'); "
        "runpy.run_module('tests.harness.attacks.run', run_name='__main__')"
    )
    folders = [_ROOT, *(Path(entry) for entry in sys.path if entry.endswith("site-packages"))]
    with _readable(folders, identity) as path:
        done = subprocess.run(
            [*prefix, python, "-c", program, ":".join(map(str, path)), *words],
            capture_output=True,
            cwd="/",
            env={"PATH": os.environ["PATH"], "SECRET": "password"},
            timeout=200,
            **identity,
        )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def _readable(folders: Sequence[Path], identity: Mapping[str, Any]) -> Iterator[Sequence[Path]]:
    """The folders, or links to their files where this user may not enter a directory above them: a checkout of root may
    lie in a private directory."""
    listed = subprocess.run(["/bin/ls", *folders], capture_output=True, cwd="/", **identity)
    if not listed.returncode:
        yield folders
        return
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        linked = [Path(directory) / str(number) for number in range(len(folders))]
        for folder, link in zip(folders, linked, strict=True):
            hidden = shutil.ignore_patterns(".*", "build")
            shutil.copytree(folder, link, ignore=hidden, copy_function=_link, symlinks=True)
        yield linked


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # on another filesystem
        shutil.copy2(source, target)
    return target


def _interpreter_for(identity: dict[str, Any]) -> str:
    """A Python of this version that this user may execute."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            if not subprocess.run([candidate, "-c", ""], capture_output=True, cwd="/", **identity).returncode:
                return candidate
        except OSError:
            continue
    pytest.skip(f"nobody may not execute any {version}")


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("way", _WAYS)
def test_the_sandbox_refuses(way: str, name: str) -> None:
    found = _found(way)
    expected = SELF_INFLICTED.get(name, "EPERM")
    if name in KILLED:
        assert found["confined"][name] == {"ended": "the reader crashed while reading it"}
    else:
        assert found["confined"][name] == {"refused": expected}
    control = found["unconfined"][name]
    if name.startswith("execute_a_program"):
        assert "executed" in found["unconfined_harmed"]
    elif name not in _MAY_BE_FORBIDDEN:
        assert "gained" in control, f"the attack does not work even without the sandbox: {control}"


@pytest.mark.parametrize("way", _WAYS)
def test_no_canary_is_touched(way: str) -> None:
    found = _found(way)
    assert found["confined_harmed"] == []
    assert not found["confined_survivor"]
    assert {"tcp", "unix", "process", "created", "unlinked", "truncated", "overwritten"} <= set(
        found["unconfined_harmed"]
    )
    assert found["unconfined_survivor"]


@pytest.mark.parametrize("way", _WAYS)
def test_every_other_system_call_is_refused(way: str) -> None:
    assert _found(way)["through"] == []


@pytest.mark.parametrize("way", _WAYS)
def test_a_child_has_nothing_but_its_socket(way: str) -> None:
    child = _found(way)["tells"]
    assert child["descriptors"] == [0, 1, 2, 3]
    assert "SECRET" not in child["environment"]
    assert not any(name.startswith(("SLUICE", "PATH", "HOME")) for name in child["environment"])
    limits = child["limits"]
    assert limits["RLIMIT_AS"] == 2 * 1024**3
    assert (limits["RLIMIT_FSIZE"], limits["RLIMIT_NPROC"], limits["RLIMIT_CORE"]) == (0, 0, 0)
    assert limits["RLIMIT_NOFILE"] == 4
    assert limits["RLIMIT_CPU"] == 1


def test_a_child_of_root_belongs_to_nobody() -> None:
    if os.getuid():
        pytest.skip("only for root")
    child = _found("as this user")["tells"]
    assert (child["user"], child["group"]) == (_NOBODY, _NOBODY)
