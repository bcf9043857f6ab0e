"""The profile, written into a person's home by a service that may be root.

The home is the person's: links to anywhere may lie in it. So root writes only into folders that the person owns, reads
and replaces only plain files that the person owns, and looks at what it has opened, never at a path twice. A link at
`.aws` or at a file in it is followed when what it leads to is so (people keep these in a repository). Who is not root
has no rights that the person lacks, and so nothing to lose by it; the checks are the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from roadstead.core import errors
from roadstead.core.files import atomic
from roadstead.identity import profile

FOLDER = ".aws"
CONFIG = "config"
CREDENTIALS = "credentials"
LARGEST = 1 << 20
"""Bytes of a file that is still taken for a config file."""
_LOCKING = 5.0
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class Owner:
    """Whose home it is; what is written belongs to `uid:gid`."""

    home: Path
    uid: int
    gid: int


def write(owner: Owner, wanted: profile.Profile, name: str = profile.NAME) -> bool:
    """Set the profile in `~/.aws/config` and `~/.aws/credentials`; whether anything had to change.

    Both are 0600 and the person's afterwards; each is replaced in one step. Raises Denied for a home that is not the
    person's or holds what root must not touch, Busy when another process holds the lock of the folder.
    """
    gone = () if wanted.ca_bundle else ("ca_bundle",)
    with _folder(owner) as folder, _locked(folder, owner):
        # Credentials first: a config that names an endpoint without them would be worse than none.
        first = _edit(owner, folder, CREDENTIALS, lambda text: profile.with_settings(text, name, wanted.credentials()))
        section = profile.config_section(name)
        second = _edit(owner, folder, CONFIG, lambda text: profile.with_settings(text, section, wanted.config(), gone))
    return first or second


def place(owner: Owner, name: str, content: str) -> Path:
    """A file in `~/.aws` with this content, 0600 and the person's: where it is. Raises what `write` raises."""
    with _folder(owner) as folder, _locked(folder, owner):
        _replace(owner, folder, name, lambda _: content)
    return owner.home / FOLDER / name


def read(home: Path, name: str = profile.NAME) -> profile.Profile:
    """The profile as it stands in a home. Raises NotFound when it is not (all) there."""
    texts = []
    for file in (CONFIG, CREDENTIALS):
        path = home / FOLDER / file
        texts.append(path.read_text(errors="surrogateescape") if path.is_file() else "")
    found = {
        **profile.settings(texts[0], profile.config_section(name)),
        **profile.settings(texts[1], name),
    }
    try:
        return profile.Profile(
            endpoint=found["endpoint_url"],
            region=found["region"],
            access_key=found["aws_access_key_id"],
            secret=found["aws_secret_access_key"],
            ca_bundle=found.get("ca_bundle"),
        )
    except KeyError as error:
        raise errors.NotFound(
            f"{home / FOLDER} has no profile {name!r} with {error.args[0]}: `roadstead start` writes it",
            profile=name,
        ) from error


@contextlib.contextmanager
def _folder(owner: Owner) -> Iterator[int]:
    """`~/.aws`, opened, and made when it is not there."""
    with _opened(str(owner.home), None, owner) as home:
        with contextlib.suppress(FileExistsError):
            os.mkdir(FOLDER, 0o700, dir_fd=home)
            # Only what has just been made, and is empty, is given away.
            made = os.open(FOLDER, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=home)
            try:
                if os.geteuid() == 0 and not os.listdir(made):  # noqa: PTH208
                    os.fchown(made, owner.uid, owner.gid)
            finally:
                os.close(made)
        with _opened(FOLDER, home, owner) as folder:
            yield folder


@contextlib.contextmanager
def _opened(path: str, at: int | None, owner: Owner) -> Iterator[int]:
    """A folder, opened through links; the person's own."""
    try:
        folder = os.open(path, _FOLDER_FLAGS, dir_fd=at)
    except OSError as error:
        raise errors.Denied(
            f"the AWS profile cannot be written: {path} in {owner.home}: {error.strerror}", path=path
        ) from error
    try:
        if os.fstat(folder).st_uid != owner.uid:
            raise errors.Denied(
                f"the AWS profile is not written: {path} in {owner.home} does not belong to the user {owner.uid}",
                path=path,
            )
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def _locked(folder: int, owner: Owner) -> Iterator[None]:
    """One of us at a time; the lock is the folder's, so no file is left for it."""
    deadline = time.monotonic() + _LOCKING
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise errors.Busy(f"another process holds the lock of {owner.home / FOLDER}: try again") from error
            time.sleep(0.05)  # flock has no waiting with a deadline.
    yield


def _edit(owner: Owner, folder: int, name: str, edit: Callable[[str], str]) -> bool:
    try:
        target = os.readlink(name, dir_fd=folder)
    except OSError:
        # Not there, or no link.
        return _replace(owner, folder, name, edit)
    real = os.path.realpath(os.path.join(f"/proc/self/fd/{folder}", target))  # noqa: PTH118
    parent, base = os.path.split(real)
    with _opened(parent, None, owner) as beside:
        return _replace(owner, beside, base, edit)


def _replace(owner: Owner, folder: int, name: str, edit: Callable[[str], str]) -> bool:
    """The file with its new text in its place, in one step; whether it had to be."""
    before, private = _read(owner, folder, name)
    text = edit(before or "")
    if before == text and private:
        return False
    theirs = (owner.uid, owner.gid) if os.geteuid() == 0 else atomic.SAME
    # The person's folder, where others write too: a draft of its own.
    atomic.write(name, text.encode(errors="surrogateescape"), 0o600, owner=theirs, within=folder, shared=True)
    return True


def _read(owner: Owner, folder: int, name: str) -> tuple[str | None, bool]:
    """A file's text (None: there is none), and whether it is its owner's alone already."""
    try:
        # Not blocking: it may be a pipe, until it has been looked at.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None, False
    except OSError as error:
        raise errors.Denied(f"the AWS profile cannot be written: {name} in {owner.home}: {error.strerror}") from error
    with open(file, encoding="utf-8", errors="surrogateescape", newline="") as stream:  # noqa: PTH123
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != owner.uid or facts.st_size > LARGEST:
            raise errors.Denied(
                f"the AWS profile is not written: {name} below {owner.home} is no small plain file of the user "
                f"{owner.uid}",
                file=name,
            )
        return stream.read(), stat.S_IMODE(facts.st_mode) == 0o600
