"""The sources and their order, with a release server on the loopback interface that has the official layouts."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import io
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead import engine as engines
from roadstead.core import errors
from roadstead.engine import cache, catalog, download, install, process, progress, settings

CATALOG = catalog.load()
ARCH = catalog.machine_arch()


def program(says: str) -> bytes:
    return f"#!/bin/sh\necho {says}\n".encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as out:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return whole.getvalue()


class Releases(http.server.ThreadingHTTPServer):
    """Files by path. `cut`: paths that end in the middle; `stalled`: paths that go on no further than that;
    `silent`: paths that are never answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.cut: set[str] = set()
        self.silent: set[str] = set()
        self.stalled: set[str] = set()
        self.end = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(http.server.BaseHTTPRequestHandler):
    server: Releases

    def do_GET(self) -> None:
        if self.path in self.server.silent:
            self.server.end.wait(10)
            return
        if target := self.server.moved.get(self.path):
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(
            content[: len(content) // 2] if self.path in self.server.cut | self.server.stalled else content
        )
        if self.path in self.server.stalled:
            self.wfile.flush()
            self.server.end.wait(10)

    def log_message(self, *_: object) -> None:
        """A test's output is not a log."""


@pytest.fixture
def releases() -> Iterator[Releases]:
    with Releases() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.end.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def chosen(tmp_path: Path, releases: Releases) -> settings.EngineSettings:
    """No modules to build from and no path: the download alone."""
    release = catalog.resolve(CATALOG, "1.37", ARCH)
    for component in release.engine.components:
        content = program("Kubernetes v1.37.2")
        path = f"/v1.37.2/bin/linux/{ARCH}/{component}"
        releases.files |= {path: content, f"{path}.sha256": sha256(content).encode()}
    members = {
        f"etcd-v3.6.16-linux-{ARCH}/{name}": program("etcd Version: 3.6.16") for name in ("etcd", "etcdctl", "etcdutl")
    }
    etcd = archive(members)
    file = f"etcd-v3.6.16-linux-{ARCH}.tar.gz"
    releases.files |= {
        f"/v3.6.16/{file}": etcd,
        "/v3.6.16/SHA256SUMS": f"{'0' * 64}  other.tar.gz\n{sha256(etcd)}  {file}\n".encode(),
    }
    return settings.EngineSettings(
        cache=tmp_path / "cache",
        catalog=CATALOG,
        modules=None,
        downloads={"kubernetes": releases.url, "etcd": releases.url},
        environment={"PATH": "/usr/bin:/bin"},
        connect_timeout=20.0,
        stall_timeout=20.0,
    )


def kubelet() -> str:
    return f"/v1.37.2/bin/linux/{ARCH}/kubelet"


def refusal(chosen: settings.EngineSettings, spec: str) -> str:
    """Why an engine could not be had; nothing of it may be left."""
    with pytest.raises(errors.Failed) as caught:
        engines.get(spec, given=chosen)
    assert engines.find(spec, given=chosen) is None
    assert list((chosen.cache / "work").iterdir()) == []
    return str(caught.value)


def test_files_with_a_checksum_each(chosen: settings.EngineSettings) -> None:
    installed = engines.get("1.37", given=chosen)
    assert installed.id == "kubernetes-1.37.2"
    assert installed.manifest.source == "download"
    assert installed.manifest.verified == "SHA-256 as published by 127.0.0.1"
    assert process.answer([str(installed.components["kubelet"])], {}).strip() == "Kubernetes v1.37.2"
    assert installed.digests["kubelet"] == f"sha256:{sha256(program('Kubernetes v1.37.2'))}"
    assert engines.find("1.37", given=chosen) == installed


def test_an_archive_with_a_list_of_checksums(chosen: settings.EngineSettings) -> None:
    assert set(engines.get("etcd", given=chosen).components) == {"etcd", "etcdctl", "etcdutl"}


def test_the_cache_is_asked_first(chosen: settings.EngineSettings, releases: Releases) -> None:
    first = engines.get("etcd", given=chosen)
    releases.files.clear()
    assert engines.get("etcd", given=chosen) == first
    assert engines.get("etcd", "cache", given=chosen) == first
    assert engines.get("etcd", "download", given=chosen) == first


def test_a_wrong_checksum(chosen: settings.EngineSettings, releases: Releases) -> None:
    releases.files[kubelet()] = b"something else"
    assert "kubelet: wrong checksum: SHA-256 is " in refusal(chosen, "1.37")


def test_a_cut_off_transfer(chosen: settings.EngineSettings, releases: Releases) -> None:
    releases.cut.add(kubelet())
    assert "the transfer was cut off after " in refusal(chosen, "1.37")


def test_a_release_that_is_not_published(chosen: settings.EngineSettings, releases: Releases) -> None:
    del releases.files[f"{kubelet()}.sha256"]
    assert "kubelet.sha256: the server answered 404" in refusal(chosen, "1.37")


def test_checksums_without_the_file(chosen: settings.EngineSettings, releases: Releases) -> None:
    releases.files["/v3.6.16/SHA256SUMS"] = b"nothing here\n"
    assert "no SHA-256 of etcd-v3.6.16" in refusal(chosen, "etcd")


def test_no_network(chosen: settings.EngineSettings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert "no connection: " in refusal(dataclasses.replace(chosen, downloads={"etcd": nobody}), "etcd")


def test_a_server_that_never_answers(chosen: settings.EngineSettings, releases: Releases) -> None:
    releases.silent.add("/v3.6.16/SHA256SUMS")
    hasty = dataclasses.replace(chosen, connect_timeout=0.5)
    start = time.monotonic()
    assert "no answer within 0 s: is there a network?" in refusal(hasty, "etcd")
    assert time.monotonic() - start < 9


def test_a_server_that_stops_in_the_middle(chosen: settings.EngineSettings, releases: Releases) -> None:
    releases.stalled.add(kubelet())
    assert "kubelet: no byte came for 2 s" in refusal(dataclasses.replace(chosen, stall_timeout=2.0), "1.37")


def test_a_digest_of_the_catalog_counts_more_than_a_published_one(
    chosen: settings.EngineSettings, releases: Releases
) -> None:
    release = catalog.resolve(CATALOG, "etcd", ARCH)
    file = f"v3.6.16/etcd-v3.6.16-linux-{ARCH}.tar.gz"
    pinned = engine_with(release.engine, {file: sha256(releases.files[f"/{file}"])})
    releases.files["/v3.6.16/SHA256SUMS"] = b"lies"
    installed = engines.get("etcd", given=with_engine(chosen, pinned))
    assert installed.manifest.verified == "SHA-256 of the catalog"
    other = with_engine(chosen, engine_with(release.engine, {file: "0" * 64}))
    with pytest.raises(errors.Failed, match="wrong checksum"):
        engines.get("etcd", "download", given=dataclasses.replace(other, cache=chosen.cache / "other"))


def engine_with(engine: catalog.CatalogEngine, digests: dict[str, str]) -> catalog.CatalogEngine:
    return catalog.CatalogEngine(
        name=engine.name,
        versions=engine.versions,
        components=engine.components,
        download=engine.download,
        digests=digests,
    )


def with_engine(chosen: settings.EngineSettings, engine: catalog.CatalogEngine) -> settings.EngineSettings:
    ours = catalog.Catalog(architectures=CATALOG.architectures, needed=(), engines=(engine,), go=CATALOG.go)
    return dataclasses.replace(chosen, catalog=ours)


@pytest.mark.parametrize("url", ["http://example.com/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "x"])
def test_only_https_and_the_loopback(url: str) -> None:
    with pytest.raises(errors.Invalid, match="HTTPS only"):
        download.check(url)


def test_a_setting_that_is_not_https_is_refused(chosen: settings.EngineSettings) -> None:
    plain = dataclasses.replace(chosen, downloads={"etcd": "http://192.0.2.1"})
    assert "HTTPS only" in refusal(plain, "etcd")


def test_a_redirect_is_followed_but_not_out_of_https(chosen: settings.EngineSettings, releases: Releases) -> None:
    releases.moved["/v3.6.16/SHA256SUMS"] = "/elsewhere"
    releases.files["/elsewhere"] = releases.files.pop("/v3.6.16/SHA256SUMS")
    assert engines.get("etcd", given=chosen).version == "3.6.16"
    releases.moved[f"{kubelet()}.sha256"] = "http://example.com/kubelet.sha256"
    assert "HTTPS only" in refusal(chosen, "1.37")


@pytest.mark.parametrize(
    ("text", "file", "digest"),
    [
        ("A" * 64, "x", "a" * 64),
        (f"{'b' * 64}  x\n{'c' * 64}  y\n", "y", "c" * 64),
        (f"{'b' * 64} *./x\n", "x", "b" * 64),
    ],
)
def test_forms_of_checksums(text: str, file: str, digest: str) -> None:
    assert download.published_digest(text, file) == digest


@pytest.mark.parametrize("text", ["", "abc", f"{'b' * 64}  y", f"{'b' * 64}  x\n{'c' * 64}  x", "<html>"])
def test_no_checksum(text: str) -> None:
    with pytest.raises(errors.Failed, match="no SHA-256 of x"):
        download.published_digest(text, "x")


def folder_of_etcd(folder: Path, version: str = "3.6.16") -> Path:
    folder.mkdir(parents=True)
    for name in ("etcd", "etcdctl", "etcdutl"):
        (folder / name).write_bytes(program(f"etcd Version: {version}"))
    return folder


def test_the_next_source_and_the_reason(chosen: settings.EngineSettings, releases: Releases, tmp_path: Path) -> None:
    releases.cut.add(f"/v3.6.16/etcd-v3.6.16-linux-{ARCH}.tar.gz")
    folder_of_etcd(tmp_path / "own" / "etcd-3.6.16")
    heard: list[progress.Progress] = []
    installed = engines.get("etcd", None, heard.append, given=chosen.with_path(tmp_path / "own"))
    assert installed.manifest.source == "path"
    assert installed.manifest.origin == str(tmp_path / "own" / "etcd-3.6.16")
    assert installed.manifest.verified.startswith("not verified")
    lines = [news.text for news in heard if not news.passing]
    assert any(line.startswith("download did not work: ") and line.endswith("; next: build") for line in lines)
    assert any(line.startswith("build did not work: the Go modules") for line in lines)
    assert lines[-1].startswith("ready (path")


def test_a_program_of_another_version_is_not_taken(chosen: settings.EngineSettings, tmp_path: Path) -> None:
    own = folder_of_etcd(tmp_path / "own", "3.6.160")
    with pytest.raises(errors.Failed, match=r"etcd should be version 3.6.16, and says: etcd Version: 3.6.160"):
        engines.get("etcd", "path", given=chosen.with_path(own))


def test_a_folder_without_a_component(chosen: settings.EngineSettings, tmp_path: Path) -> None:
    own = folder_of_etcd(tmp_path / "own")
    (own / "etcdutl").unlink()
    with pytest.raises(errors.Failed, match="has no file etcdutl"):
        engines.get("etcd", "path", given=chosen.with_path(own))


def test_a_broken_entry_is_named_and_made_again(chosen: settings.EngineSettings) -> None:
    file = engines.get("etcd", given=chosen).components["etcd"]
    file.chmod(0o755)
    file.write_bytes(b"#" * file.stat().st_size)
    assert engines.find("etcd", given=chosen) is None
    heard: list[progress.Progress] = []
    again = engines.get("etcd", None, heard.append, given=chosen)
    assert (
        heard[0].text == f"the cache's entry is broken and not used: {file} has another SHA-256 than when it was made"
    )
    assert again.components["etcd"].read_bytes() == program("etcd Version: 3.6.16")


def test_the_cache_alone(chosen: settings.EngineSettings) -> None:
    with pytest.raises(errors.NotFound, match="is not in the cache"):
        engines.get("etcd", "cache", given=chosen)


def test_two_at_once_do_the_work_once(chosen: settings.EngineSettings) -> None:
    heard: list[progress.Progress] = []
    key = install.key_of(catalog.resolve(CATALOG, "etcd", ARCH), chosen)
    got: list[engines.Installed] = []
    waits = threading.Event()

    def hear(news: progress.Progress) -> None:
        heard.append(news)
        waits.set()

    other = threading.Thread(target=lambda: got.append(engines.get("etcd", None, hear, given=chosen)))
    with cache.locked(chosen.cache, key.name, lambda pid: None):  # noqa: ARG005
        other.start()
        assert waits.wait(60)
        made = install._make(key, None, chosen, progress.Teller("etcd", progress.silent))
    other.join(60)
    assert not other.is_alive()
    assert got == [made]
    assert [news.text.split(" works")[1] for news in heard] == [" on etcd-3.6.16: waiting for it"]


def test_the_distribution_s_own(chosen: settings.EngineSettings, tmp_path: Path) -> None:
    absent = dataclasses.replace(chosen, environment={"PATH": str(tmp_path / "bin")})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "busybox").write_bytes(program("busybox 9"))
    (tmp_path / "bin" / "busybox").chmod(0o755)
    installed = engines.get("busybox", given=absent)
    assert installed.components == {"busybox": tmp_path / "bin" / "busybox"}
    assert installed.manifest.source == "distribution"
    with pytest.raises(errors.Invalid, match="install its package busybox-static"):
        engines.get("busybox", "build", given=absent)


def test_a_command_that_fails_is_told_with_its_output(tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(errors.Failed, match=r"exit code 3: second") as caught:
        run(["/bin/sh", "-c", "echo first; printf 'a\rsecond'; exit 3"], tmp_path, lines)
    assert lines == ["first", "a", "second"]
    assert caught.value.facts["output"] == "first\na\nsecond"


def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(errors.Failed, match="took longer than 0 s"):
        run(["/bin/sh", "-c", "sleep 60 & sleep 60"], tmp_path, [], timeout=0.2)
    assert time.monotonic() - start < 30


def run(argv: list[str], folder: Path, lines: list[str], timeout: float = 10.0) -> None:
    process.run(argv, folder=folder, environment={"PATH": "/usr/bin:/bin"}, line=lines.append, timeout=timeout)
