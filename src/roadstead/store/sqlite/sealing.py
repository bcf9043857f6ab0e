"""Secrets at rest: sealed by AES-256-GCM with a key that lies in a file of its own.

Who has the database alone has no secret. The key file has a line `ID KEY` per key (KEY: 32 bytes, base64; ID: from the
key's SHA-256), its last one seals, all open: to rotate, append a line, seal everything again, and take the old line
away. A sealed secret is bound to its name and generation, so that none can be put in another's place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import exceptions
from cryptography.hazmat.primitives.ciphers import aead

from roadstead.core import errors
from roadstead.core.files import atomic
from roadstead.store import keys

_NONCE = 12
_KEY = 32


@dataclass(frozen=True)
class Sealer:
    """The keys by their ids; the one of `current` seals."""

    current: str
    ciphers: dict[str, aead.AESGCM] = field(repr=False)

    def seal(self, key: keys.Key, generation: int, value: bytes) -> bytes:
        """Nonce, ciphertext and tag."""
        # A random nonce of 96 bits is safe for 2**32 secrets under one key (NIST SP 800-38D, 8.3).
        nonce = os.urandom(_NONCE)
        return nonce + self.ciphers[self.current].encrypt(nonce, value, _bound(key, generation))

    def open(self, key: keys.Key, generation: int, sealer: str, sealed: bytes) -> bytes:
        """Raises Failed when the key is not there or the sealed bytes are not what was written."""
        cipher = self.ciphers.get(sealer)
        if cipher is None:
            raise errors.Failed(
                f"secret {key} was sealed with the key {sealer}, which the key file lacks: restore that file", key=key
            )
        try:
            return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(key, generation))
        except exceptions.InvalidTag:
            raise errors.Failed(
                f"secret {key} is damaged: what is kept of it is not what was sealed; restore the store", key=key
            ) from None


def _bound(key: keys.Key, generation: int) -> bytes:
    return f"{key.text} {generation}".encode()


def identity(key: bytes) -> str:
    """Names a key beside what it sealed, and tells nothing of it: 16 digits in hexadecimal."""
    return hashlib.sha256(b"roadstead store key " + key).hexdigest()[:16]


def create(path: Path) -> None:
    """Make a key file with one new key, on disk when this returns. Raises FileExistsError."""
    key = os.urandom(_KEY)
    line = f"{identity(key)} {base64.b64encode(key).decode()}\n"
    atomic.create(path, line.encode(), 0o600)


def read(path: Path) -> Sealer:
    """The keys of a key file. Raises Failed when it is not there, open to others, or damaged."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read()
    except OSError as error:
        raise errors.Failed(
            f"the key file {path} of the store's secrets cannot be read ({error.strerror}): restore it", path=path
        ) from error
    if mode & 0o077:
        raise errors.Failed(
            f"the key file {path} is open to others (mode {mode:04o}): chmod 600 it, and think of who read it",
            path=path,
        )
    ciphers: dict[str, aead.AESGCM] = {}
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(b"#")]
    for line in lines:
        name, _, encoded = line.strip().partition(b" ")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != _KEY or identity(key).encode() != name:
            raise errors.Failed(f"the key file {path} is damaged: restore it", path=path)
        ciphers[identity(key)] = aead.AESGCM(key)
    if not ciphers:
        raise errors.Failed(f"the key file {path} is empty: restore it", path=path)
    return Sealer(list(ciphers)[-1], ciphers)
