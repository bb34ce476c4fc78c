"""The id of the temp file that the tests use, and the code of a raised error."""

from __future__ import annotations

import pytest

from pipeline.core.errors import TempVolumeError

MEBIBYTE = 1024 * 1024
ID = "01a2"


def code_of(raised: pytest.ExceptionInfo[TempVolumeError]) -> str:
    return raised.value.code
