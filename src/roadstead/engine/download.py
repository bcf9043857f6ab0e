"""Official releases over HTTPS: the published SHA-256 first, then the files, each compared as it comes.

Nothing here trusts a server more than its checksum: an archive is opened only after its digest was right, and
only the members that the catalog names are taken out of it.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import tarfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from roadstead.core import errors
from roadstead.engine import progress

if TYPE_CHECKING:
    from pathlib import Path

    from roadstead.engine import catalog, settings

_CHUNK = 1 << 20
_MOST_CHECKSUMS = 1 << 20
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Made:
    """What a source made: where it came from, and how that was verified."""

    origin: str
    verified: str


def make(release: catalog.Release, into: Path, settings: settings.EngineSettings, teller: progress.Teller) -> Made:
    """Put the components of an official release into a folder.

    Raises NotFound when the release is not published there (or nowhere), Failed for what goes wrong on the way.
    """
    download = release.engine.download
    if download is None:
        raise errors.NotFound(f"there is no official release of {release.engine.name} to download")
    base = settings.downloads.get(release.engine.name, download.base)
    fetcher = Fetcher(settings.connect_timeout, settings.stall_timeout, teller)
    known = 0
    files = tuple(dict.fromkeys(release.fill(download.file, name) for name in release.engine.components))
    for name, file in zip(release.engine.components, files, strict=False):
        digest = release.engine.digests.get(file)
        known += digest is not None
        if digest is None:
            published = fetcher.text(f"{base}/{release.fill(download.checksum, name)}")
            digest = published_digest(published, file.rsplit("/", 1)[-1])
        if download.member is None:
            fetcher.file(f"{base}/{file}", into / name, digest)
        else:
            archive = into / ".archive"
            fetcher.file(f"{base}/{file}", archive, digest)
            members = {name: release.fill(download.member, name) for name in release.engine.components}
            _unpack(archive, members, into)
            archive.unlink()
    host = urllib.parse.urlsplit(base).hostname
    how = "SHA-256 of the catalog" if known == len(files) else f"SHA-256 as published by {host}"
    return Made(origin=base, verified=how)


def published_digest(text: str, file: str) -> str:
    """The digest of a file in a list of checksums: lines `HEX  NAME`, or the digest alone. Raises Failed."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        found = [lines[0][0]]
    else:
        found = [words[0] for words in lines if len(words) == 2 and words[1].lstrip("*").rsplit("/", 1)[-1] == file]
    if len(found) != 1 or not re.fullmatch(r"[0-9a-f]{64}", found[0].lower()):
        raise errors.Failed(f"the published checksums have no SHA-256 of {file}", published=text[:500])
    return found[0].lower()


@dataclass(frozen=True)
class Fetcher:
    """Gets addresses with limits of time: seconds to the first answer, and without one byte."""

    connect_timeout: float
    stall_timeout: float
    teller: progress.Teller

    def text(self, url: str) -> str:
        """A page of checksums, bounded; what is no UTF-8 is replaced. Raises Failed, NotFound."""
        with self._open(url) as response:
            return self._read(url, response, _MOST_CHECKSUMS).decode(errors="replace")

    def file(self, url: str, to: Path, sha256: str) -> None:
        """Raises Failed when the transfer is cut off or the digest is another one; then the file is gone."""
        try:
            with self._open(url) as response, to.open("wb") as out:
                total = int(response.headers.get("Content-Length") or 0)
                digest = hashlib.sha256()
                done, told = 0, time.monotonic()
                while chunk := self._read(url, response, _CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
                    done += len(chunk)
                    if time.monotonic() - told >= 0.2:
                        told = time.monotonic()
                        whole = f" of {progress.size(total)}" if total else ""
                        self.teller.passing(f"{url}: {progress.size(done)}{whole}")
            if total and done != total:
                raise errors.Failed(f"{url}: the transfer was cut off after {done} of {total} bytes", url=url)
            if digest.hexdigest() != sha256:
                raise errors.Failed(
                    f"{url}: wrong checksum: SHA-256 is {digest.hexdigest()}, should be {sha256}", url=url
                )
        except BaseException:
            to.unlink(missing_ok=True)
            raise
        self.teller.line(f"downloaded {url} ({progress.size(done)}, SHA-256 right)")

    def _read(self, url: str, response: http.client.HTTPResponse, most: int) -> bytes:
        try:
            return response.read(most)
        except TimeoutError as error:
            raise errors.Failed(f"{url}: no byte came for {self.stall_timeout:.0f} s", url=url) from error
        except (OSError, http.client.HTTPException) as error:
            raise errors.Failed(f"{url}: the transfer was cut off: {error}", url=url) from error

    def _open(self, url: str) -> http.client.HTTPResponse:
        """The answer, with its status and headers here.

        A resolver without a network may take longer than any timeout of a socket, and a server has several
        addresses: so a thread opens, and is waited for `connect_timeout` seconds. A late one closes what it got.
        """
        check(url)
        opening = _Opening(url, self.stall_timeout)
        threading.Thread(target=opening.run, name=f"open {url}", daemon=True).start()
        try:
            return opening.result(self.connect_timeout)
        except urllib.error.HTTPError as error:
            error.close()
            kind = errors.NotFound if error.code in (404, 410) else errors.Failed
            raise kind(f"{url}: the server answered {error.code} {error.reason}", url=url) from error
        except TimeoutError as error:
            raise errors.Failed(
                f"{url}: no answer within {self.connect_timeout:.0f} s: is there a network?", url=url
            ) from error
        except urllib.error.URLError as error:
            raise errors.Failed(f"{url}: no connection: {error.reason}", url=url) from error
        except (OSError, http.client.HTTPException) as error:
            raise errors.Failed(f"{url}: no connection: {error}", url=url) from error


def check(url: str) -> None:
    """Raises Invalid for an address that is not HTTPS; this machine's loopback may be plain."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise errors.Invalid(f"{url}: engines are downloaded over HTTPS only", url=url)


class _Opening:
    """One address being opened in a thread."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._late = False
        self._response: http.client.HTTPResponse | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            opener = urllib.request.build_opener(_Redirects)
            request = urllib.request.Request(self._url, headers={"User-Agent": "roadstead"})
            response = cast("http.client.HTTPResponse", opener.open(request, timeout=self._timeout))
        except Exception as error:
            self._error = error
        else:
            with self._lock:
                self._response = response
                if self._late:
                    response.close()
        self._done.set()

    def result(self, timeout: float) -> http.client.HTTPResponse:
        """Raises what opening raised, or TimeoutError."""
        self._done.wait(timeout)
        with self._lock:
            self._late = True
            if self._response is not None:
                return self._response
        raise self._error or TimeoutError


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Release pages redirect to storage; the address must still be one that may be used."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            check(newurl)
        except errors.Invalid:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _unpack(archive: Path, members: dict[str, str], into: Path) -> None:
    """Take the named members, regular files, out of an archive. Raises Failed."""
    try:
        with tarfile.open(archive, "r:gz") as opened:
            names = {member.name.removeprefix("./"): member for member in opened if member.isfile()}
            for component, name in members.items():
                content = opened.extractfile(names[name]) if name in names else None
                if content is None:
                    raise errors.Failed(f"the archive of the release has no file {name}")
                with content, (into / component).open("wb") as out:
                    shutil.copyfileobj(content, out, _CHUNK)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise errors.Failed(f"the archive of the release cannot be read: {error}") from error
