"""The corpus: generated media of every container and codec that the tools write, with what is true of each.

`corpus_file("mp4_index_end")` gives a path, `corpus_files()` all of them by name, `CORPUS` what is true of them. Each
is made once per test session, whichever process asks first.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.harness.media_corpus_entry import Entry
from tests.harness.media_corpus_images import IMAGES
from tests.harness.media_corpus_sounds import SOUNDS
from tests.harness.media_corpus_unfinished import UNFINISHED
from tests.harness.media_corpus_videos import VIDEOS
from tests.harness.media_samples import directory
from tests.harness.session import made_once

CORPUS: Mapping[str, Entry] = {**VIDEOS, **SOUNDS, **IMAGES, **UNFINISHED}


@functools.cache
def corpus_file(name: str) -> Path:
    """The file of that name, complete."""
    return made_once(directory() / f"corpus-{name}", CORPUS[name].build)


def corpus_files() -> Mapping[str, Path]:
    """All of them."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(CORPUS, pool.map(corpus_file, CORPUS), strict=True))
