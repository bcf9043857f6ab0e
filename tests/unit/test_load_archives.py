"""Which archives can be loaded, what their images are called then, and what containerd is given of them."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests import saved_images

from roadstead.core import errors
from roadstead.engine import images
from roadstead.machine.load import archives, contents

GOLDEN = Path(__file__).parent / "golden" / "archives"

ONE = saved_images.Image((saved_images.layer({"a": b"1"}),))
OTHER = saved_images.Image((saved_images.layer({"a": b"2"}),))

NAMED = {
    "docker-20": ("docker", "docker.io/library/x:1", "docker.io/me/x:2"),
    "docker-28": ("oci", "docker.io/library/x:1", "docker.io/me/x:2"),
    "podman-docker-archive": ("docker", "localhost/x:1"),
    "podman-several": ("docker", "localhost/x:1", "localhost/base:1"),
    "podman-oci-archive": ("oci", "localhost/x:1"),
    "skopeo-docker-archive": ("docker", "docker.io/library/x:1"),
    "skopeo-oci-archive": ("oci", "docker.io/library/x:1"),
    "skopeo-oci-archive-zstd": ("oci", "docker.io/library/x:1"),
    "buildah-docker-archive": ("docker", "docker.io/library/x:1", "localhost/x:1"),
    "buildah-platforms": ("oci", "localhost/multi:1"),
    "ctr": ("oci", "docker.io/library/x:1"),
    "ctr-several": ("oci", "docker.io/library/x:1", "docker.io/me/x:2"),
    "ctr-platforms": ("oci", "localhost/multi:1"),
    "ko": ("docker", "example.com/team/kotest-979383cc2902fc0d793b03759c864d8a:1.0"),
    "crane": ("docker", "127.0.0.1:5055/base:1"),
    "crane-legacy": ("docker", "127.0.0.1:5055/base:1"),
}
NAMELESS = (
    "docker-20-by-id",
    "docker-28-by-id",
    "podman-by-id",
    "skopeo-docker-archive-nameless",
    "skopeo-oci-archive-nameless",
    "buildah-oci-archive",
)


def texts(name: str) -> dict[str, bytes]:
    recorded = json.loads((GOLDEN / f"{name}.json").read_text())["texts"]
    return {at: text.encode() for at, text in recorded.items() if at in contents.TEXTS}


def as_containerd_names(given: dict[str, bytes]) -> list[str]:
    """The names under which it imports, by its source: those of a layout word by word, Docker's made whole."""
    if contents.LAYOUT not in given:
        return [tag for one in json.loads(given[contents.SAVED]) for tag in one["RepoTags"] or ()]
    found = []
    for entry in json.loads(given[contents.INDEX])["manifests"]:
        notes = entry.get("annotations", {})
        found.append(notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name", ""))
    return found


def test_every_archive_that_was_recorded_is_expected_here() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == {*NAMED, *NAMELESS}


@pytest.mark.parametrize("name", NAMED)
def test_images_are_called_as_pods_look_for_them(name: str) -> None:
    found = contents.understand(texts(name))
    form, *names = NAMED[name]
    assert (found.form, list(found.images)) == (form, names)
    imported = as_containerd_names({**texts(name), **found.changed})
    if form == "oci":
        assert imported == names
    # Nothing is rewritten but where containerd would have taken another name.
    assert bool(found.changed) == name.startswith("skopeo-oci")


@pytest.mark.parametrize("name", NAMELESS)
def test_an_image_without_a_name_is_refused_and_can_be_given_one(name: str) -> None:
    has = "has the tag 1.0 and no name" if name == "buildah-oci-archive" else "has no name"
    with pytest.raises(errors.Invalid, match=rf"{has}.*--name NAME\[:TAG\]"):
        contents.understand(texts(name))
    tag = "1.0" if name == "buildah-oci-archive" else "latest"
    for given, whole in (("app", f"docker.io/library/app:{tag}"), ("example.com/app:2", "example.com/app:2")):
        found = contents.understand(texts(name), given)
        assert found.images == (whole,)
        assert as_containerd_names({**texts(name), **found.changed}) == [whole]


def layout(*references: str, saved: object = None) -> dict[str, bytes]:
    entries: list[object] = [
        {"digest": f"sha256:{number}", **({"annotations": {"org.opencontainers.image.ref.name": one}} if one else {})}
        for number, one in enumerate(references)
    ]
    made = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": msgspec.json.encode({"manifests": entries})}
    return made if saved is None else {**made, "manifest.json": msgspec.json.encode(saved)}


def test_an_only_image_can_be_given_another_name_and_keeps_its_tag() -> None:
    assert contents.understand(layout("localhost/x:1"), "me/app").images == ("docker.io/me/app:1",)
    assert contents.understand(layout("localhost/x:1"), "me/app:3").images == ("docker.io/me/app:3",)
    named = contents.understand(texts("docker-20"), "app:3")
    assert named.images == ("docker.io/library/app:3",)
    (entry,) = json.loads(named.changed["manifest.json"])
    (before,) = json.loads(texts("docker-20")["manifest.json"])
    assert entry == {**before, "RepoTags": ["docker.io/library/app:3"]}


def test_of_several_images_a_name_is_for_those_that_have_none() -> None:
    found = contents.understand(layout("me/x:1", "1.0", "1.1"), "app")
    assert found.images == ("docker.io/me/x:1", "docker.io/library/app:1.0", "docker.io/library/app:1.1")
    with pytest.raises(errors.Invalid, match=r"two images that would both be docker\.io/library/app:2"):
        contents.understand(layout("1.0", "1.1"), "app:2")
    with pytest.raises(errors.Invalid, match="nothing is left to be named app"):
        contents.understand(layout("me/x:1", "me/y:1"), "app")
    with pytest.raises(errors.Invalid, match="has no name"):
        contents.understand(layout("me/x:1", ""))


def test_what_belongs_to_an_image_and_is_none_needs_no_name() -> None:
    attested = layout("x:1", "")
    index = json.loads(attested["index.json"])
    index["manifests"][1]["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    found = contents.understand({**attested, "index.json": msgspec.json.encode(index)})
    assert found.images == ("docker.io/library/x:1",)
    assert index["manifests"][1] in json.loads(found.changed["index.json"])["manifests"]


def test_a_layout_that_is_named_for_docker_alone_has_that_name() -> None:
    saved = [{"Config": "x", "RepoTags": ["app:1", "app:2"], "Layers": []}]
    found = contents.understand(layout("", saved=saved))
    assert found.images == ("docker.io/library/app:1", "docker.io/library/app:2")
    assert as_containerd_names({**layout(""), **found.changed}) == list(found.images)


def test_names_that_no_pod_could_say_are_refused() -> None:
    for reference in ("Me/X:1", "x:1:2", "localhost/:1"):
        with pytest.raises(errors.Invalid, match="is no name of an image"):
            contents.understand(layout(reference))
    with pytest.raises(errors.Invalid, match="is no name of an image"):
        contents.understand(layout("1.0"), "Me/X")


def read(file: Path, name: str = "") -> archives.Archive:
    folder = file.parent / "copies"
    folder.mkdir(exist_ok=True)
    return archives.read(file, folder, name)


def test_what_we_write_can_be_loaded_as_it_is(tmp_path: Path) -> None:
    image = images.Image(name="example.com/app:1", arch="amd64", tree={"x": images.ImageFile(b"x")})
    images.write(image, tmp_path / "app.tar")
    assert read(tmp_path / "app.tar") == archives.Archive(
        tmp_path / "app.tar", "oci", ("example.com/app:1",), tmp_path / "app.tar"
    )


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress, saved_images.zstd])
def test_a_packed_archive_is_unpacked(packed: Callable[[bytes], bytes], tmp_path: Path) -> None:
    plain = saved_images.write(saved_images.docker_20({ONE: ["app:1"]}), tmp_path / "app.tar")
    file = saved_images.write(saved_images.docker_20({ONE: ["app:1"]}), tmp_path / "app.packed", packed)
    found = read(file)
    assert (found.images, found.plain.read_bytes()) == (("docker.io/library/app:1",), plain.read_bytes())
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(errors.Invalid, match="is no archive of images"):
        read(file)


def test_a_file_of_several_packed_parts_is_unpacked_whole(tmp_path: Path) -> None:
    plain = saved_images.write(saved_images.docker_28({ONE: ["app:1"]}), tmp_path / "app.tar").read_bytes()
    for packed in (gzip.compress, saved_images.zstd):
        (tmp_path / "app.packed").write_bytes(packed(plain[:3000]) + packed(plain[3000:]))
        assert read(tmp_path / "app.packed").plain.read_bytes() == plain


def test_a_changed_text_counts_and_all_else_stays(tmp_path: Path) -> None:
    file = saved_images.write(saved_images.oci_archive({ONE: "x:1", OTHER: "me/y:2"}), tmp_path / "app.tar")
    before = file.read_bytes()
    found = read(file)
    assert found.images == ("docker.io/library/x:1", "docker.io/me/y:2")
    assert file.read_bytes() == before
    with tarfile.open(file) as old, tarfile.open(found.plain) as new:
        *kept, last = new.getmembers()
        assert [(one.name, one.size) for one in kept] == [(one.name, one.size) for one in old.getmembers()]
        assert last.name == "index.json"
    assert contents.understand(archives._texts(found.plain)) == contents.Contents("oci", found.images)


def test_a_dot_before_names_is_no_matter(tmp_path: Path) -> None:
    made = {f"./{name}": content for name, content in saved_images.oci_archive({ONE: "x:1"}).items()}
    assert read(saved_images.write(made, tmp_path / "x.tar")).images == ("docker.io/library/x:1",)


def test_what_unpacks_to_more_than_the_agent_keeps_is_refused(tmp_path: Path) -> None:
    file = saved_images.write(saved_images.docker_20({ONE: ["app:1"]}), tmp_path / "x.tar.gz", gzip.compress)
    size = len(gzip.decompress(file.read_bytes()))
    assert archives.read(file, tmp_path, most=size).images == ("docker.io/library/app:1",)
    with pytest.raises(errors.Invalid, match="unpacked it has more than"):
        archives.read(file, tmp_path, most=size - 1)


def tar(file: Path, **members: object) -> Path:
    """An archive of JSON files; `_` in a name stands for `.`, and `__` for `-`."""
    with tarfile.open(file, "w") as out:
        for name, content in members.items():
            entry = tarfile.TarInfo(name.replace("__", "-").replace("_", "."))
            body = json.dumps(content).encode()
            entry.size = len(body)
            out.addfile(entry, io.BytesIO(body))
    return file


def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no tar")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"0" * 4096)[:12])
    (tmp_path / "packed.zst").write_bytes(b"\x28\xb5\x2f\xfd....")
    whole = saved_images.write(saved_images.ko(ONE, "x:1"), tmp_path / "whole.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:1200])
    version = {"imageLayoutVersion": "1.0.0"}
    wrong = {
        tmp_path / "text": "is no archive of images",
        tmp_path / "cut.gz": "is no archive of images",
        tmp_path / "packed.zst": "is no archive of images",
        tmp_path / "cut.tar": "cannot be loaded",
        tar(tmp_path / "other.tar", readme_txt="x"): "neither an OCI layout nor manifest.json",
        tar(tmp_path / "odd.tar", manifest_json={"RepoTags": 1}): "is no archive of images",
        tar(tmp_path / "half.tar", oci__layout=version): "an OCI layout without index.json",
        tar(tmp_path / "empty.tar", oci__layout=version, index_json={"manifests": []}): "there is no image in it",
        tar(tmp_path / "nothing.tar", manifest_json=[]): "there is no image in it",
    }
    for file, said in wrong.items():
        with pytest.raises(errors.Invalid, match=said):
            read(file)
