"""The version of a release is the same wherever it is written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

_REPOSITORY = Path(__file__).parents[3]
_VERSION = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\d+\.\d+\.\d+)$", (_REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert versions[0] == _VERSION
    assert versions == sorted(versions, key=lambda text: [int(part) for part in text.split(".")], reverse=True)


def test_the_manifests_name_the_image_of_this_version() -> None:
    text = (_REPOSITORY / "deploy/kubernetes/base/kustomization.yaml").read_text("utf-8")
    assert re.findall(r'newTag: "(.*)"', text) == [_VERSION]
