"""The archives that tests make are such as the programs write after which they are named.

Compared are the members of the tar and its texts of JSON, without digests and sizes: the programs' own images differ.
"""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests import saved_images

GOLDEN = Path(__file__).parent / "golden" / "archives"

LOWER = saved_images.layer({"a": b"hello", "gone": b"bye"})
UPPER = saved_images.layer({".wh.gone": b""})
IMAGE = saved_images.Image((LOWER, UPPER))
BASE = saved_images.Image((LOWER,))
ARM = saved_images.Image((LOWER,), arch="arm64")
KO = "example.com/team/kotest-979383cc2902fc0d793b03759c864d8a:1.0"

MADE = {
    "docker-20": saved_images.docker_20({IMAGE: ["x:1", "me/x:2"]}),
    "docker-20-by-id": saved_images.docker_20({IMAGE: []}),
    "docker-28": saved_images.docker_28({IMAGE: ["x:1", "me/x:2"]}),
    "docker-28-by-id": saved_images.docker_28({IMAGE: []}),
    "podman-docker-archive": saved_images.docker_archive({IMAGE: ["localhost/x:1"]}),
    "podman-by-id": saved_images.docker_archive({IMAGE: []}),
    "podman-several": saved_images.docker_archive({IMAGE: ["localhost/x:1"], BASE: ["localhost/base:1"]}),
    "podman-oci-archive": saved_images.oci_archive({IMAGE: "localhost/x:1"}),
    "skopeo-docker-archive": saved_images.docker_archive({IMAGE: ["docker.io/library/x:1"]}),
    "skopeo-docker-archive-nameless": saved_images.docker_archive({IMAGE: []}),
    "skopeo-oci-archive": saved_images.oci_archive({IMAGE: "library/x:1"}),
    "skopeo-oci-archive-nameless": saved_images.oci_archive({IMAGE: ""}),
    "skopeo-oci-archive-zstd": saved_images.oci_archive({IMAGE: "x:1"}, saved_images.zstd),
    "buildah-docker-archive": saved_images.docker_archive({IMAGE: ["docker.io/library/x:1", "localhost/x:1"]}),
    "buildah-oci-archive": saved_images.oci_archive({IMAGE: "1.0"}),
    "buildah-platforms": saved_images.oci_platforms([IMAGE, ARM], "localhost/multi:1"),
    "ctr": saved_images.ctr({IMAGE: ["docker.io/library/x:1"]}),
    "ctr-several": saved_images.ctr({IMAGE: ["docker.io/library/x:1", "docker.io/me/x:2"]}),
    "ko": saved_images.ko(saved_images.Image((LOWER, UPPER, saved_images.layer({"b": b"x"}))), KO),
    "crane": saved_images.ko(BASE, "127.0.0.1:5055/base:1"),
}


@pytest.mark.parametrize("name", MADE)
def test_they_are_as_the_program_writes_them(name: str, tmp_path: Path) -> None:
    real = json.loads((GOLDEN / f"{name}.json").read_text())
    members, texts = [], {}
    with tarfile.open(saved_images.write(MADE[name], tmp_path / "x.tar")) as opened:
        for entry in opened:
            kind = "file" if entry.isreg() else "folder" if entry.isdir() else "link"
            members.append(f"{kind} {entry.name}" + (f" -> {entry.linkname}" if kind == "link" else ""))
            content = opened.extractfile(entry)
            if content is not None:
                texts[entry.name] = content.read()
    assert sorted(map(blurred, members)) == sorted(map(blurred, real["members"]))
    kept = {at: content for at, content in texts.items() if at in real["texts"] or b'"schemaVersion"' in content}
    assert shapes(kept) == shapes({at: text.encode() for at, text in real["texts"].items()})


def shapes(texts: dict[str, bytes]) -> list[tuple[str, str]]:
    """Names and contents, in an order that digests do not decide."""
    return sorted((blurred(at), json.dumps(shape(json.loads(text)), sort_keys=True)) for at, text in texts.items())


def shape(content: Any) -> Any:
    match content:
        case dict():
            # Annotations of a manifest are of the image, as its history is; those of an index name it.
            left_out = {"size", *(("annotations",) if "layers" in content else ())}
            return {blurred(key): shape(one) for key, one in content.items() if key not in left_out}
        case list():
            return [shape(one) for one in content]
        case str():
            return blurred(content)
    return content


def blurred(word: str) -> str:
    return re.sub(r"[0-9a-f]{64}", "#", word).rstrip("/")
