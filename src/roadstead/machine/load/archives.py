"""Archives of images as files: what is in one, and the plain tar of it that containerd can import.

containerd unpacks no archive and changes no name in one, so both are done here, into a copy; most archives need none.
A changed file is written behind all others: of two with one name the later counts, for containerd as for tar.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import posixpath
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import msgspec
import zstandard

from roadstead.contract.messages import jobs
from roadstead.core import errors
from roadstead.machine.load import contents

_CHUNK = 1 << 20
_LARGEST_TEXT = 20 << 20
"""Bytes of one of the small files; containerd reads no more."""


@dataclass(frozen=True)
class Archive:
    """A file with images, by their whole names, and what of it containerd can import."""

    file: Path
    form: str
    """`oci`, or `docker` for what `docker save` wrote before Docker 25."""
    images: tuple[str, ...]
    plain: Path
    """`file` itself, or a copy."""


_UNREADABLE = (tarfile.TarError, msgspec.DecodeError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError)


def read(file: Path, folder: Path, name: str = "", most: int = jobs.LARGEST) -> Archive:
    """The archive, with a copy of at most so many bytes in the folder where one is needed.

    `name`: see contents.understand. Raises Invalid when containerd could not import it, or no pod use what is in it,
    and Failed without room for a copy.
    """
    try:
        plain = _unpacked(file, folder, most)
        found = contents.understand(_texts(plain), name)
        return Archive(file, found.form, found.images, _changed(plain, folder, most, found.changed))
    except errors.Invalid as error:
        raise errors.Invalid(f"{file} cannot be loaded: {error.message}", file=file) from error
    except _UNREADABLE as error:
        raise errors.Invalid(f"{file} is no archive of images: {error}", file=file) from error
    except OSError as error:
        raise errors.Failed(f"{file} cannot be read, or not be copied to {folder}: {error}", file=file) from error


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def close(self) -> object: ...


def _zstd(packed: IO[bytes]) -> _Source:
    return zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)


_COMPRESSIONS: Mapping[bytes, Callable[[IO[bytes]], _Source]] = {
    b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=packed),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": _zstd,
}
"""By what a file begins with: from the bytes of a file to those in it."""


def _unpacked(file: Path, folder: Path, most: int) -> Path:
    """The file itself when nothing packed it."""
    with file.open("rb") as packed:
        start = packed.read(6)
        packed.seek(0)
        for magic, unpack in _COMPRESSIONS.items():
            if start.startswith(magic):
                with contextlib.closing(unpack(packed)) as source:
                    return _copied(source, folder, most)
    return file


def _copied(source: _Source, folder: Path, most: int) -> Path:
    """A copy in a file of its own. Raises Failed, Invalid for what is larger than the agent keeps."""
    try:
        descriptor, place = tempfile.mkstemp(suffix=".tar", dir=folder)
        with os.fdopen(descriptor, "wb") as target:
            size = 0
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > most:
                    raise errors.Invalid(f"unpacked it has more than {most / 2**30:g} GiB")
                target.write(chunk)
    except OSError as error:
        if error.errno is None:
            # What gzip and bz2 say of bytes that they did not write.
            raise EOFError(str(error)) from error
        raise errors.Failed(f"no copy can be made in {folder} (TMPDIR chooses another place): {error}") from error
    return Path(place)


def _texts(plain: Path) -> dict[str, bytes]:
    """The small files that say what is in it, by name."""
    found = {}
    with tarfile.open(plain, "r:") as opened:
        for member in opened:
            name = posixpath.normpath(member.name)
            if name in contents.TEXTS and member.isreg():
                if member.size > _LARGEST_TEXT:
                    raise errors.Invalid(f"its {name} has {member.size} bytes")
                text = opened.extractfile(member)
                found[name] = b"" if text is None else text.read()
    return found


def _changed(plain: Path, folder: Path, most: int, files: Mapping[str, bytes]) -> Path:
    if not files:
        return plain
    if plain.parent != folder:
        with plain.open("rb") as source:
            plain = _copied(source, folder, most)
    with tarfile.open(plain, "a:") as opened:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            opened.addfile(entry, io.BytesIO(text))
    return plain
