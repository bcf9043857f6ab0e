"""Files that somebody else may have written, read by who must not be led, held up or filled by them.

root reads what serve has left, porter what serve writes for it, and the command of a person what other users' programs
keep. Whoever writes there may put a link in a file's place, a pipe that never says anything, a name of another's file,
or a file without end. So: no link is followed at the last two steps of the path (what is above is the machine's own),
what was opened is looked at and not its path once more, nothing is waited for, and there is a limit. What was read is
believed in its form alone: a type, whose texts have patterns without control characters.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TypeVar

import msgspec

from roadstead.core import errors

_T = TypeVar("_T")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def read(path: Path, most: int) -> bytes:
    """The bytes of a small plain file, `most` at most.

    Raises NotFound where there is none, Failed for anything else that has the name. root takes from a folder of another
    user only what is that user's: by a second name anything of the disk could be there.
    """
    try:
        folder = os.open(path.parent, _FOLDER)
        try:
            file = os.open(path.name, _FILE, dir_fd=folder)
            try:
                return _plain(path, file, os.fstat(folder).st_uid, most)
            finally:
                os.close(file)
        finally:
            os.close(folder)
    except FileNotFoundError as error:
        raise errors.NotFound(f"{path} is not there", file=path) from error
    except OSError as error:
        raise errors.Failed(f"{path} cannot be read: {error.strerror}", file=path) from error


def decode(path: Path, most: int, form: type[_T]) -> _T:
    """What `read` gives, as JSON of a strict type. Raises what `read` raises, and Failed for what is no such thing."""
    content = read(path, most)
    try:
        return msgspec.json.decode(content, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Its words name places and forms, never what is there.
        raise errors.Failed(f"{path} is damaged: {error}", file=path) from error


def line(text: str, what: str) -> str:
    """The text itself, fit for one line of a file that other programs read. Raises Invalid, without showing it."""
    if _CONTROL.search(text):
        raise errors.Invalid(f"{what} has control characters", field=what)
    return text


def _plain(path: Path, file: int, owner: int, most: int) -> bytes:
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > most:
        raise errors.Failed(f"{path} is no plain file of at most {most} bytes", file=path)
    if os.geteuid() == 0 and owner not in (0, facts.st_uid):
        raise errors.Failed(f"{path} is not of the user {owner}, whose folder it is in", file=path)
    # It may grow while it is read.
    content = b""
    while chunk := os.read(file, most + 1 - len(content)):
        content += chunk
        if len(content) > most:
            raise errors.Failed(f"{path} is no plain file of at most {most} bytes", file=path)
    return content
