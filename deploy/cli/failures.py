"""Any exception as one line for a person. The root of the command and `sluice upload` share it.

Guarantee: the text is one printable line, except for the log lines of a server that died and for a list of invalid
settings, which has a line for each. It quotes the value of a setting only where the setting's own message does, which
no secret's does.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import deploy
from deploy.cli.names import shown

_ROOT: Final = Path(deploy.__file__).resolve().parent.parent


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group, or the exception itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def is_expected(error: BaseException) -> bool:
    """Whether `error` says what went wrong in words that were written for a person."""
    return all(_expected_sentence(leaf) is not None for leaf in leaves(error))


def sentence(error: BaseException) -> str:
    """What happened. For an unexpected error: its type, its text and the place in Sluice's code."""
    found = dict.fromkeys(_expected_sentence(leaf) or _unexpected_sentence(leaf) for leaf in leaves(error))
    return "; ".join(found)


def failure_code(error: BaseException) -> str:
    """The `code` of an error that has one, else the name of its type."""
    return str(getattr(error, "code", None) or type(error).__name__)


def _expected_sentence(error: BaseException) -> str | None:
    from pydantic import ValidationError

    from deploy.cli.errors import ClientError
    from deploy.cli.output import OutputError
    from deploy.embedded import StackError
    from pipeline.adapters.media.reader import UnconfinedError
    from pipeline.bootstrap.access import AccessSettingsError
    from pipeline.bootstrap.descriptors import TooFewDescriptorsError
    from pipeline.bootstrap.listening import CannotListenError
    from pipeline.core.errors import SluiceError
    from pipeline.tracing import TracesError

    if isinstance(error, SluiceError):
        return f"{shown(' '.join(str(error).split()))} [{error.code}]"
    expected = AccessSettingsError | CannotListenError | TracesError | TooFewDescriptorsError | UnconfinedError
    if isinstance(error, expected | ClientError | OutputError):
        return shown(" ".join(str(error).split()))
    if isinstance(error, StackError):
        return str(error)
    if isinstance(error, ValidationError) and error.title == "Settings":
        found = [_setting_problem(item["loc"], item["msg"]) for item in error.errors(include_input=False)]
        return f"Invalid setting {found[0]}" if len(found) == 1 else "\n  ".join(["Invalid settings:", *found])
    if isinstance(error, OSError) and error.strerror:
        return _os_sentence(error)
    return None


def _setting_problem(place: tuple[int | str, ...], message: str) -> str:
    message = " ".join(message.removeprefix("Value error, ").split())
    if not place:
        return message
    rest = "".join(f" item {part + 1}" if isinstance(part, int) else f" {part}" for part in place[1:])
    return f"SLUICE_{str(place[0]).upper()}{rest}: {message}"


def _os_sentence(error: OSError) -> str:
    files = [shown(str(name)) for name in (error.filename, error.filename2) if name is not None]
    return f"{' and '.join(files)}: {error.strerror}" if files else f"{error.strerror}"


def _unexpected_sentence(error: BaseException) -> str:
    text = " ".join(str(error).split())
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(_ROOT)
    ]
    ours = [frame for frame in frames if "site-packages" not in frame.filename]
    place = f" ({Path(ours[-1].filename).relative_to(_ROOT)}, line {ours[-1].lineno})" if ours else ""
    return shown(f"Unexpected error: {type(error).__name__}{': ' + text if text else ''}{place}")
