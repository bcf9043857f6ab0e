"""OCI archives of images: what is in them, and that they are the same bit by bit."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from roadstead.core import errors
from roadstead.engine import images

PROGRAM = b"\x7fELF not really"


def blob(archive: tarfile.TarFile, digest: str) -> bytes:
    opened = archive.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
    assert opened is not None
    content = opened.read()
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
    return content


def parts(file: Path, scratch: Path) -> tuple[Any, Any, Any, tarfile.TarFile]:
    """The index's one entry, the config, the manifest and the layer of an archive."""
    with tarfile.open(file) as archive:
        opened = archive.extractfile("index.json")
        assert opened is not None
        (entry,) = json.loads(opened.read())["manifests"]
        manifest = json.loads(blob(archive, entry["digest"]))
        config = json.loads(blob(archive, manifest["config"]["digest"]))
        (layer,) = manifest["layers"]
        (scratch / "layer.tar").write_bytes(blob(archive, layer["digest"]))
        assert config["rootfs"]["diff_ids"] == [layer["digest"]]
        assert layer["size"] == (scratch / "layer.tar").stat().st_size
    return entry, config, manifest, tarfile.open(scratch / "layer.tar")


def program(folder: Path, time: int) -> Path:
    folder.mkdir()
    file = folder / "program"
    file.write_bytes(PROGRAM)
    os.utime(file, (time, time))
    return file


def test_the_same_content_makes_the_same_bytes(tmp_path: Path) -> None:
    one, two = program(tmp_path / "1", 1), program(tmp_path / "2", 2_000_000_000)
    first = images.write(images.pause(one, "1.0", "amd64"), tmp_path / "one.tar")
    second = images.write(images.pause(two, "1.0", "amd64"), tmp_path / "two.tar")
    assert first == second == f"sha256:{hashlib.sha256((tmp_path / 'one.tar').read_bytes()).hexdigest()}"
    assert images.write(images.pause(one, "1.0", "arm64"), tmp_path / "two.tar") != first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "one.tar", "two.tar"]


def test_bytes_are_pinned(tmp_path: Path) -> None:
    """A change of these bytes means that every image of every user changes: it must be meant."""
    digest = images.write(images.pause(program(tmp_path / "1", 7), "1.0", "amd64"), tmp_path / "x.tar")
    assert digest == "sha256:85b9069303d528f5cebc234d3fbc09fe4d04d526b9cb8dd47b16ed9a85b748d8"


def test_the_archive_of_pause(tmp_path: Path) -> None:
    images.write(images.pause(program(tmp_path / "1", 1), "1.0", "amd64"), tmp_path / "x.tar")
    entry, config, manifest, layer = parts(tmp_path / "x.tar", tmp_path)
    with layer:
        (member,) = layer.getmembers()
        assert (member.name, member.mode, member.mtime, member.uid, member.gid) == ("pause", 0o755, 0, 0, 0)
        opened = layer.extractfile(member)
        assert opened is not None
        assert opened.read() == PROGRAM
    assert entry["annotations"]["io.containerd.image.name"] == "roadstead.dev/pause:1.0"
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "1.0"
    assert entry["platform"] == {"architecture": "amd64", "os": "linux"}
    assert config["config"] == {"Entrypoint": ["/pause"], "User": "65532:65532"}
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"


def test_busybox_has_its_applets_and_folders(tmp_path: Path) -> None:
    image = images.busybox(program(tmp_path / "1", 1), ("sh", "busybox", "wget"), "amd64")
    images.write(image, tmp_path / "x.tar")
    _, config, _, layer = parts(tmp_path / "x.tar", tmp_path)
    with layer:
        names = layer.getnames()
        assert names == sorted(names)
        assert {"bin", "bin/busybox", "bin/sh", "bin/wget", "etc/passwd", "tmp"} <= set(names)
        assert layer.getmember("bin/sh").linkname == "busybox"
        assert layer.getmember("tmp").mode == 0o1777
    assert config["config"]["Cmd"] == ["/bin/sh"]
    assert config["config"]["Env"] == ["PATH=/bin"]


def test_a_root_tree(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc" / "deep").mkdir(parents=True)
    (root / "etc" / "deep" / "file").write_text("x")
    (root / "etc" / "deep" / "file").chmod(0o640)
    (root / "link").symlink_to("etc/deep")
    tree = images.tree_of(root)
    assert sorted(tree) == ["etc", "etc/deep", "etc/deep/file", "link"]
    assert tree["etc/deep/file"] == images.ImageFile(root / "etc" / "deep" / "file", 0o640)
    assert tree["link"] == images.ImageLink("etc/deep")
    os.mkfifo(root / "pipe")
    with pytest.raises(errors.Invalid, match="pipe is neither"):
        images.tree_of(root)


@pytest.mark.parametrize("path", ["/etc", "a//b", "../x", "a/../../x", "", "./a"])
def test_a_path_outside_the_root_is_refused_and_nothing_is_left(tmp_path: Path, path: str) -> None:
    image = images.Image(name="x/y:1", arch="amd64", tree={path: images.ImageFile(b"")})
    with pytest.raises(errors.Invalid):
        images.write(image, tmp_path / "x.tar")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_program_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        images.write(images.pause(tmp_path / "none", "1.0", "amd64"), tmp_path / "x.tar")
    assert list(tmp_path.iterdir()) == []


def test_system_images_are_written_once_and_anew_for_another_program(tmp_path: Path) -> None:
    image = images.volumes(program(tmp_path / "1", 1), "1.0", "amd64")
    made = images.SystemImage("volumes", image, "sha256:1")
    assert made.name == "roadstead.dev/volume-provisioner:1.0"
    file = images.write_system([made], tmp_path / "images")
    written = file.stat()
    assert images.write_system([made], tmp_path / "images") == file
    assert file.stat().st_mtime_ns == written.st_mtime_ns
    other = images.write_system([images.SystemImage("volumes", image, "sha256:2")], tmp_path / "images")
    assert other != file
    assert {path.name for path in (tmp_path / "images").iterdir()} == {file.name, other.name}


def test_several_images_are_in_one_archive(tmp_path: Path) -> None:
    several = [
        images.pause(program(tmp_path / "1", 1), "1.0", "amd64"),
        images.coredns(program(tmp_path / "2", 2), "1.2", "amd64"),
    ]
    images.write_all(several, tmp_path / "both.tar")
    with tarfile.open(tmp_path / "both.tar") as archive:
        opened = archive.extractfile("index.json")
        assert opened is not None
        index = json.loads(opened.read())
        for one in index["manifests"]:
            manifest = json.loads(blob(archive, one["digest"]))
            for part in (manifest["config"], *manifest["layers"]):
                assert len(blob(archive, part["digest"])) == part["size"]
    named = [one["annotations"]["io.containerd.image.name"] for one in index["manifests"]]
    assert named == ["roadstead.dev/pause:1.0", "roadstead.dev/coredns:1.2"]
