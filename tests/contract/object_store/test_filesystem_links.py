"""Links, FIFOs, sockets and devices below the directory of the filesystem store: never followed, never opened."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.adapters.object_store.filesystem import FilesystemObjectStore
from pipeline.adapters.object_store.filesystem.layout import FilesystemLayout
from pipeline.core.errors import StoreError
from tests.contract.object_store.uploads import Scenario, content, keys

pytestmark = pytest.mark.contract

SECRET = b"root:x:0:0:" * 1000
SECONDS = 60.0
"""A FIFO that is opened without a writer blocks for ever."""


def link(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def dangling(path: Path, outside: Path) -> None:
    path.symlink_to(outside.with_name("nothing"))


def loop(path: Path, outside: Path) -> None:
    path.symlink_to(path)


def fifo(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path, outside: Path) -> None:
    short = outside.with_name("s")  # an address has at most 107 bytes
    bound = socket.socket(socket.AF_UNIX)
    here = os.open(short.parent, os.O_RDONLY)
    try:
        bound.bind(f"/proc/self/fd/{here}/{short.name}")
    finally:
        os.close(here)
        bound.close()
    short.rename(path)


def device(path: Path, outside: Path) -> None:
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # as /dev/zero, which never ends
    except PermissionError:
        pytest.skip("only root makes devices")


def directory(path: Path, outside: Path) -> None:
    path.mkdir()


PLANTED = [link, dangling, loop, fifo, unix_socket, device, directory]
Plant = Callable[[Path, Path], None]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.write_bytes(SECRET)
    return path


async def failure(work: object) -> str:
    """The code of the StoreError, which comes at once."""
    async with asyncio.timeout(SECONDS):
        with pytest.raises(StoreError) as error:
            await work  # type: ignore[misc]  # any awaitable
    return error.value.code


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize("key", ["raw/film.mp4", "contents/a/original", "long" * 100])
async def test_what_is_no_file_is_no_object(tmp_path: Path, outside: Path, plant: Plant, key: str) -> None:
    layout = FilesystemLayout(tmp_path / "store")
    async with FilesystemObjectStore(layout.root, fsync=False) as store:
        await store.put_object("raw/other.mp4", b"fine", "video/mp4")
        path = layout.object_path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        plant(path, outside)
        assert await failure(store.head(key)) == "STORE_OBJECT_MISSING"
        assert await failure(content(store, key)) == "STORE_OBJECT_MISSING"
        assert await keys(store) == ["raw/other.mp4"]
        if plant is not directory:
            await store.delete(key)
            assert not os.path.lexists(path)
        assert outside.read_bytes() == SECRET


@pytest.mark.parametrize("plant", [link, dangling, loop, fifo, directory])
async def test_a_manifest_or_a_segment_that_is_no_file_is_missing(tmp_path: Path, outside: Path, plant: Plant) -> None:
    layout = FilesystemLayout(tmp_path / "store")
    async with FilesystemObjectStore(layout.root, fsync=False) as store:
        upload = Scenario(store)
        await upload.sealed()
        [path] = (layout.upload_path(upload.target.upload_id)).glob("00000002.*")
        path.unlink()
        plant(path, outside)
        assert await failure(content(store, upload.target.key)) == "STORE_UNAVAILABLE"
        assert await failure(anext(aiter(store.read_segment(upload.target, 2, 0, 9)))) == "STORE_OBJECT_MISSING"
        manifest = layout.manifest_path(upload.target.key)
        manifest.unlink()
        plant(manifest, outside)
        assert await failure(store.head(upload.target.key)) == "STORE_OBJECT_MISSING"


@pytest.mark.parametrize("level", ["objects", "manifests", "segments", "incoming"])
async def test_a_linked_directory_at_the_top_is_an_error_and_nothing_is_written_there(
    tmp_path: Path, level: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_bytes(SECRET)
    layout = FilesystemLayout(tmp_path / "store")
    layout.root.mkdir()
    (layout.root / level).symlink_to(elsewhere, target_is_directory=True)
    async with FilesystemObjectStore(layout.root, fsync=False) as store:
        failed = False
        for sizes in (None, (10,)):
            upload = Scenario(store, sizes=sizes)
            for work in (upload.sealed(), store.abort(upload.target), store.delete(upload.target.key)):
                [outcome] = await asyncio.gather(work, return_exceptions=True)
                failed |= isinstance(outcome, StoreError)
                assert outcome is None or isinstance(outcome, StoreError) or not isinstance(outcome, BaseException)
        assert failed
        await asyncio.gather(keys(store), store.remove_drafts(0), return_exceptions=True)
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]


async def test_a_linked_directory_deeper_down_is_not_entered(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    layout = FilesystemLayout(tmp_path / "store")
    async with FilesystemObjectStore(layout.root, fsync=False) as store:
        key, upload = "long" * 100, Scenario(store)
        await store.put_object(key, b"the operator's", "video/mp4")
        await upload.sealed()
        moved = [layout.object_path(key).parent, layout.upload_path(upload.target.upload_id)]
        for number, path in enumerate(moved):
            shutil.move(path, elsewhere / str(number))
            path.symlink_to(elsewhere / str(number), target_is_directory=True)
        files = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
        assert files
        assert await failure(store.head(key)) == "STORE_OBJECT_MISSING"
        assert await failure(store.put_object(key, b"other bytes", "video/mp4")) == "STORE_UNAVAILABLE"
        assert await failure(content(store, upload.target.key)) == "STORE_UNAVAILABLE"
        assert key not in await keys(store)
        await store.delete(key)
        await store.abort(upload.target)
    assert {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()} == files


async def test_the_directory_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk", target_is_directory=True)
    async with FilesystemObjectStore(tmp_path / "store", fsync=False) as store:
        await store.put_object("raw/a", b"bytes", "video/mp4")
        assert await content(store, "raw/a") == b"bytes"


async def test_the_version_of_a_file_that_is_larger_than_any_disk_is_known_at_once(tmp_path: Path) -> None:
    """Its identity is what the directory says of it. Hashing 4 TiB would take an hour."""
    layout = FilesystemLayout(tmp_path)
    async with FilesystemObjectStore(tmp_path, fsync=False) as store:
        await store.put_object("raw/film.mp4", b"begin", "video/mp4")
        path = layout.object_path("raw/film.mp4")
        os.truncate(path, 1 << 42)
        async with asyncio.timeout(SECONDS):
            found = await store.head("raw/film.mp4")
            first = await anext(aiter(store.read("raw/film.mp4", 0, 4, etag=found.etag)))
        assert (found.size_bytes, first) == (1 << 42, b"begin")
        with path.open("r+b") as file:
            file.write(b"other")
        assert (await store.head("raw/film.mp4")).etag != found.etag
        assert await failure(anext(aiter(store.read("raw/film.mp4", 0, 4, etag=found.etag)))) == "OBJECT_CHANGED"


async def test_the_modes_of_what_the_store_writes(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with FilesystemObjectStore(tmp_path / "store", fsync=False) as store:
            await Scenario(store).sealed()
            await store.put_object("raw/" + "long" * 100, b"bytes", "video/mp4")
            assert store.container == "files"
            modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").rglob("*")}
            modes[tmp_path / "store"] = stat.S_IMODE((tmp_path / "store").stat().st_mode)
            assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
            assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    finally:
        os.umask(before)
