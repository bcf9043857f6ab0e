"""Bytes by digest: what units, engines and images are made of. Root's own, 0600, whole or not there."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from roadstead.contract.messages import jobs
from roadstead.core import errors
from roadstead.core.files import atomic


class Blobs:
    """The folder of blobs. A file is named by the hexadecimal of its SHA-256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # `.part-`: of earlier releases.
        for left in (*folder.glob(".*.new"), *folder.glob(".part-*")):
            left.unlink()

    def path(self, digest: str) -> Path:
        """Where a blob is. Raises NotFound when it is not."""
        path = self._folder / digest.removeprefix("sha256:")
        if not path.exists():
            raise errors.NotFound(f"blob {digest} is not here: stream it with PUT /v1/blobs/{digest}", digest=digest)
        return path

    def has(self, digest: str) -> bool:
        """Whether the bytes are here, whole. `digest`: `sha256:HEX`."""
        return (self._folder / digest.removeprefix("sha256:")).exists()

    async def keep(self, digest: str, chunks: AsyncIterator[bytes]) -> int:
        """Keep a stream; returns its size in bytes. Raises Invalid when it has another digest."""
        seen = hashlib.sha256()
        size = 0
        with atomic.replacing(self._folder / digest.removeprefix("sha256:"), 0o600, shared=True) as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > jobs.LARGEST:
                    raise errors.Invalid(f"blob {digest}: more than {jobs.LARGEST} bytes", digest=digest)
                seen.update(chunk)
                file.write(chunk)
            found = f"sha256:{seen.hexdigest()}"
            if found != digest:
                raise errors.Invalid(
                    f"blob {digest}: the {size} bytes that came have the digest {found}",
                    digest=digest,
                    found=found,
                )
            file.flush()
            # The most of it beside the loop.
            await asyncio.to_thread(os.fsync, file.fileno())
        return size

    def sweep(self, used: Collection[str], older_than: float) -> list[str]:
        """Remove blobs that nothing names and that are older than a Unix time; returns their digests."""
        keep = {digest.removeprefix("sha256:") for digest in used}
        removed = []
        for path in self._folder.iterdir():
            if path.name not in keep and path.stat().st_mtime < older_than:
                path.unlink()
                removed.append(f"sha256:{path.name}")
        return removed
