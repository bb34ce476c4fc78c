"""What the worker makes of everything that a child may send, and of every way in which it may end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.adapters.media import conversation, reader
from pipeline.adapters.media.protocol import (
    MAX_JPEG_BYTES,
    MAX_METADATA_BYTES,
    MAX_RANGE_BYTES,
    MAX_REASON_BYTES,
    Said,
)
from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from pipeline.core.errors import MediaError, SluiceError, TempVolumeError
from pipeline.ports.media import Frame
from schemas.media import MediaMetadata
from tests.harness.attacks.run import CONFINED, UNCONFINED, Bytes, ordered

pytestmark = [pytest.mark.contract, pytest.mark.asyncio(loop_scope="module")]

_CRASHED = "the reader crashed while reading it"
_PICTURE = "\xff\xd8\xff\xe0 a JPEG"
_METADATA = MediaMetadata(kind="image", container="gif", size_bytes=1)


async def _error(hostile: SandboxedReader, **order: Any) -> SluiceError:
    with pytest.raises(SluiceError) as caught:
        await hostile.read(ordered(**order))
    return caught.value


async def _is_crash(hostile: SandboxedReader, **order: Any) -> None:
    error = await _error(hostile, **order)
    assert (error.code, error.detail) == ("NOT_MEDIA", {"reason": _CRASHED})


@pytest.mark.parametrize(
    "death",
    [
        {"do": "die", "how": "fault"},
        {"do": "die", "how": "abort"},
        {"do": "die", "how": "exit", "status": 0},
        {"do": "die", "how": "exit", "status": 1},
        {"do": "die", "how": "exit", "status": 77},
        {"do": "raise"},
    ],
    ids=lambda death: " ".join(map(str, death.values())),
)
async def test_a_crash_is_the_fault_of_the_file(hostile: SandboxedReader, death: dict[str, Any]) -> None:
    await _is_crash(hostile, **death)
    found = await hostile.read(ordered(**death, describes=True))
    assert found.frame == Frame(None) or death.get("status") == 0
    if death.get("status") != 0:
        assert await hostile.thumbnail(ordered(**death), _METADATA) == Frame(None)


async def test_too_little_memory_is_the_fault_of_the_file(hostile: SandboxedReader) -> None:
    error = await _error(hostile, do="die", how="memory")
    assert (error.code, error.detail) == ("NOT_MEDIA", {"reason": "reading it needs more memory than is allowed"})
    assert (await hostile.read(ordered(do="die", how="memory", describes=True))).frame == Frame(None)
    assert await hostile.thumbnail(ordered(do="die", how="memory"), _METADATA) == Frame(None)


@pytest.mark.parametrize("manner", [{}, {"ignores": True}], ids=["killed by the limit", "ignores the signal"])
async def test_too_much_cpu_time_is_a_timeout(
    hostile: SandboxedReader, manner: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_CHEAP_WALL_SECONDS", 120)  # other tests may leave it little of the processors
    monkeypatch.setattr(reader, "_WALL_PER_CPU_SECOND", 120)
    error = await _error(hostile, do="spin", **manner)
    assert isinstance(error, MediaError)
    assert (error.code, error.detail, error.retryable) == ("MEDIA_TIMEOUT", {"timeout_seconds": 1}, False)


async def test_too_much_cpu_time_for_the_frame(hostile: SandboxedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_CHEAP_WALL_SECONDS", 120)
    monkeypatch.setattr(reader, "_WALL_PER_CPU_SECOND", 120)
    assert (await hostile.read(ordered(do="spin", describes=True))).frame is None
    with pytest.raises(MediaError) as caught:
        await hostile.thumbnail(ordered(do="spin"), _METADATA)
    assert caught.value.code == "MEDIA_TIMEOUT"


async def test_a_child_that_is_stuck_is_a_timeout(hostile: SandboxedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_CHEAP_WALL_SECONDS", 0.3)  # stuck or starved: it gets another attempt
    monkeypatch.setattr(reader, "_WALL_PER_CPU_SECOND", 5)  # a start on a busy machine takes no half of it
    assert (await _error(hostile, do="sleep")).code == "MEDIA_TIMEOUT"


async def test_a_child_that_hides_is_a_crash(hostile: SandboxedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_EXIT_SECONDS", 0.3)
    await _is_crash(hostile, do="sleep", closes=True)


@pytest.mark.parametrize(
    "messages",
    [
        [[0, 0, 0, ""]],
        [[99, 0, 0, ""]],
        [[Said.RANGE, 0, 0, ""]],
        [[Said.RANGE, 2**62, 1, ""]],
        [[Said.RANGE, 2**64 - 1, 1, ""]],
        [[Said.RANGE, 0, 2**32 - 1, ""]],
        [[Said.RANGE, 0, MAX_RANGE_BYTES + 1, ""]],
        [[Said.METADATA, 0, MAX_METADATA_BYTES + 1, ""]],
        [[Said.NOT_MEDIA, 0, MAX_REASON_BYTES + 1, ""]],
        [[Said.FAILED, 0, 2**32 - 1, ""]],
        [[Said.OUT_OF_MEMORY, 0, 1, "x"]],
        [[Said.JPEG, 0, MAX_JPEG_BYTES + 1, ""]],
        [[Said.JPEG, 0, len(_PICTURE), _PICTURE]],
        [[Said.METADATA, 0, 2, "{}"]],
        [[Said.METADATA, 0, 0, ""]],
        [[Said.METADATA, 0, 7, "\xff\xfe{}\0[["]],
        [[Said.METADATA, 0, 100, "cut off"]],
    ],
    ids=str,
)
async def test_a_message_that_no_child_sends_is_a_crash(hostile: SandboxedReader, messages: list[Any]) -> None:
    await _is_crash(hostile, do="send", messages=messages)


@pytest.mark.parametrize(
    "fields",
    [
        {"container": "g\0if"},
        {"container": ""},
        {"tags": {"title": "a\0b"}},
        {"tags": {"title": "\x1b[31mred"}},
        {"tags": {"a\nb": "c"}},
        {"tags": {"title": "x" * 257}},
        {"tags": {f"tag{number}": "x" for number in range(17)}},
        {"size_bytes": 1},
        {"size_bytes": -1},
        {"kind": "program"},
        {"duration_seconds": -1},
        {"streams": [{"type": "video"}]},
        {"bit_rate": 2**64},
    ],
    ids=str,
)
async def test_metadata_that_could_do_harm_is_a_crash(hostile: SandboxedReader, fields: dict[str, Any]) -> None:
    await _is_crash(hostile, do="show", metadata=fields, jpeg=_PICTURE)


async def test_text_without_control_characters_is_kept(hostile: SandboxedReader) -> None:
    title = "Zoë \u200d\u200c \U0001f469\u200d\U0001f680"
    found = await hostile.read(ordered(do="show", metadata={"tags": {"title": title}}, jpeg=_PICTURE))
    assert found.metadata.tags == {"title": title}
    assert found.frame == Frame(_PICTURE.encode("latin-1"))


@pytest.mark.parametrize("content", ["GIF89a", "<script>", "\0\0"])
async def test_a_picture_that_is_none_is_no_thumbnail(hostile: SandboxedReader, content: str) -> None:
    assert (await hostile.read(ordered(do="show", jpeg=content))).frame == Frame(None)


async def test_no_picture_is_no_thumbnail(hostile: SandboxedReader) -> None:
    assert (await hostile.read(ordered(do="show", jpeg=""))).frame == Frame(None)


class _Failing(Bytes):
    """Fails beyond the order at its beginning."""

    def __init__(self, error: Exception, **order: Any) -> None:
        super().__init__(json.dumps(order).encode().ljust(1024 * 1024, b"\0"))
        self.error = error

    async def read(self, offset: int, length: int) -> bytes:
        if offset:
            raise self.error
        return await super().read(offset, length)


@pytest.mark.parametrize(
    "error",
    [TempVolumeError("TEMP_FILE_MISSING"), LookupError("anything"), TimeoutError("its own"), OSError(5, "its own")],
    ids=repr,
)
async def test_an_error_of_the_source_is_passed_on(hostile: SandboxedReader, error: Exception) -> None:
    ranges = [[512 * 1024, 1]]
    with pytest.raises(type(error)) as caught:
        await hostile.read(_Failing(error, do="read", ranges=ranges))
    assert caught.value is error
    found = await hostile.read(_Failing(error, do="read", ranges=ranges, describes=True))
    assert (found.metadata.container, found.frame) == ("gif", None)
    with pytest.raises(type(error)):
        await hostile.thumbnail(_Failing(error, do="read", ranges=ranges), _METADATA)


async def test_a_source_that_returns_too_little_is_noticed(hostile: SandboxedReader) -> None:
    class Short(Bytes):
        async def read(self, offset: int, length: int) -> bytes:
            return b"x"

    with pytest.raises(ValueError, match="1 bytes instead of"):
        await hostile.read(Short(bytes(1000)))


async def test_a_child_may_not_read_without_end(hostile: SandboxedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "MAX_READ_BYTES", 2 * 1024**2)
    source = _Failing(AssertionError("not reached"), do="read", ranges=[[0, 1], [0, 4 * 1024**2]])
    source.content = source.content.ljust(5 * 1024**2, b"\0")
    source.error = MediaError("MEDIA_TIMEOUT", timeout_seconds=0)

    async def read(offset: int, length: int) -> bytes:
        return source.content[offset : offset + length]

    monkeypatch.setattr(source, "read", read)  # this one does not fail
    with pytest.raises(MediaError, match="needs more than 2 MiB"):
        await hostile.read(source)


async def test_a_machine_without_a_sandbox_is_refused_unless_permitted() -> None:
    with pytest.raises(reader.UnconfinedError, match=r"open is not refused.*SLUICE_MEDIA_CONFINEMENT=best-effort"):
        await SandboxedReader(ReaderRules(required=True), UNCONFINED).start()
    async with SandboxedReader(ReaderRules(required=False), UNCONFINED) as lenient:
        assert "fork is not refused" in lenient.gaps
        assert (await lenient.read(ordered(do="show", jpeg=_PICTURE))).frame is not None
    with pytest.raises(SluiceError) as caught:
        await SandboxedReader(ReaderRules(required=True), UNCONFINED).read(Bytes(b"x"))
    assert caught.value.code == "MEDIA_TOOL_FAILED"


async def test_a_host_that_cannot_start_is_the_fault_of_the_machine() -> None:
    for module in ("no.such.module", "json"):
        with pytest.raises(SluiceError) as caught:
            await SandboxedReader(host_module=module).start()
        assert (caught.value.code, caught.value.retryable) == ("MEDIA_TOOL_FAILED", True)


async def test_the_real_confinement_has_no_gaps(hostile: SandboxedReader) -> None:
    assert hostile.gaps == ()
    assert CONFINED
