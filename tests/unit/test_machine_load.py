"""Archives that can be loaded, and which nodes they go to."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.engine import images
from roadstead.machine import load
from roadstead.messages import jobs


def tar(file: Path, **members: object) -> Path:
    """An archive of JSON files; `_` in a name stands for `.`, and `__` for `-`."""
    with tarfile.open(file, "w") as out:
        for name, content in members.items():
            entry = tarfile.TarInfo(name.replace("__", "-").replace("_", "."))
            body = json.dumps(content).encode()
            entry.size = len(body)
            out.addfile(entry, io.BytesIO(body))
    return file


def index(**annotations: str) -> object:
    names = {name.replace("_", "."): value for name, value in annotations.items()}
    return {"schemaVersion": 2, "manifests": [{"digest": "sha256:0", "annotations": names}]}


def test_what_we_write_can_be_loaded(tmp_path: Path) -> None:
    image = images.Image(name="example.com/app:1", arch="amd64", tree={"x": images.File(b"x")})
    images.write(image, tmp_path / "app.tar")
    assert load.archive(tmp_path / "app.tar") == load.Archive(tmp_path / "app.tar", "oci", ("example.com/app:1",))


def test_what_docker_saves_can_be_loaded(tmp_path: Path) -> None:
    saved = [{"Config": "x.json", "RepoTags": ["app:1", "app:2"], "Layers": []}]
    old = tar(tmp_path / "old.tar", manifest_json=saved, repositories={})
    assert load.archive(old) == load.Archive(old, "docker", ("app:1", "app:2"))
    name = index(org_opencontainers_image_ref_name="1")
    new = tar(tmp_path / "new.tar", manifest_json=saved, index_json=name, oci__layout={})
    assert load.archive(new).images == ("app:1", "app:2")
    packed = tmp_path / "old.tar.gz"
    packed.write_bytes(gzip.compress(old.read_bytes()))
    assert load.archive(packed).form == "docker"


def test_a_dot_before_names_is_no_matter(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as out:
        body = json.dumps([{"RepoTags": ["app:1"]}]).encode()
        entry = tarfile.TarInfo("./manifest.json")
        entry.size = len(body)
        out.addfile(entry, io.BytesIO(body))
    assert load.archive(tmp_path / "x.tar").images == ("app:1",)


def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no tar")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"0" * 4096)[:12])
    (tmp_path / "packed.zst").write_bytes(b"\x28\xb5\x2f\xfd....")
    wrong = {
        tmp_path / "text": "is no archive of images",
        tmp_path / "cut.gz": "is no archive of images",
        tmp_path / "packed.zst": "compressed by zstd",
        tar(tmp_path / "other.tar", readme_txt="x"): "neither index.json nor manifest.json",
        tar(tmp_path / "odd.tar", manifest_json={"RepoTags": 1}): "is no archive of images",
        tar(tmp_path / "nameless.tar", manifest_json=[{"RepoTags": None}]): "names no image",
        tar(tmp_path / "nameless-oci.tar", index_json=index(), oci__layout={}): "names no image",
    }
    for file, said in wrong.items():
        with pytest.raises(errors.Invalid, match=said):
            load.archive(file)


def test_nodes_are_the_hosts_of_instances_of_that_cluster() -> None:
    hosts: dict[str, object] = dict.fromkeys(("c-1.i-0a", "c-1.api-a", "c-1.edge", "c-11.i-0b", "c-1.i-00"))
    assert load.hosts_of("c-1", {"hosts": hosts}) == ("c-1.i-00", "c-1.i-0a")
    assert load.hosts_of("c-2", {"hosts": hosts}) == ()
    units = {"c-1.i-0a/containerd": {"spec": {"engine": "containerd-2.3.7"}}}
    assert load.containerds(("c-1.i-0a",), {"units": units}) == {"c-1.i-0a": "containerd-2.3.7"}
    with pytest.raises(errors.Busy, match=r"node c-1\.i-00 is still being made"):
        load.containerds(("c-1.i-00",), {"units": units})


def test_a_call_waits_longer_for_more(tmp_path: Path) -> None:
    archives = []
    for name, size in (("small.tar", 1), ("large.tar", 6 * 2**30)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
        archives.append(load.Archive(tmp_path / name, "oci", ("app:1",)))
    small, large = (load.patience([one]) for one in archives)
    # Longer than the agent gives the job, also when a restarted agent begins it again.
    assert small >= 2 * jobs.longest(1)
    assert large >= 2 * jobs.longest(6 * 2**30) > 2 * 3600
    assert load.patience(archives) >= small + large


def test_a_line_says_how_it_went() -> None:
    done = load.Loaded("c-1.i-0a", "x.tar", ("app:1", "app:2"), "done", 1.24, "")
    assert load.line(done) == "c-1.i-0a\tapp:1, app:2\tloaded in 1.2 s"
    failed = load.Loaded("c-1.i-0a", "x.tar", ("app:1",), "failed", 1.24, "ctr ended with 1: no space left")
    assert load.line(failed) == "c-1.i-0a\tapp:1\tfailed: ctr ended with 1: no space left"
