"""`pipeline.imports.without`: the module is missing, or empty, only while the block runs."""

from __future__ import annotations

import sys

import pytest

from pipeline.imports import without

pytestmark = pytest.mark.unit


def test_a_module_is_missing_while_the_block_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with without("colorsys"), pytest.raises(ImportError):
        import colorsys
    import colorsys

    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)


def test_a_module_that_is_required_is_empty_while_the_block_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with without("colorsys", required=True):
        import colorsys as empty
    import colorsys

    assert not hasattr(empty, "rgb_to_hsv")
    assert hasattr(colorsys, "rgb_to_hsv")


def test_a_module_that_is_imported_stays() -> None:
    with without("sys"):
        import sys as same
    assert same is sys


def test_a_private_package_is_imported_anew_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("colorsys", "wsgiref", "wsgiref.util"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with without("colorsys", private="wsgiref"):
        import wsgiref.util as private
    import wsgiref.util as shared

    assert private is not shared
    with without("colorsys", private="wsgiref"):
        import wsgiref.util as same
    assert same is shared, "what is there already is used"
