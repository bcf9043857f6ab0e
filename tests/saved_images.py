"""Archives of images as programs that people use write them: the same files, names and texts around images of ours.

No such program is needed. `unit/test_saved_images.py` holds each of these against what the program itself wrote
(`unit/golden/archives`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

Member = bytes | str | None
"""Of an archive, by its name: a file, a link, a folder."""
Archive = dict[str, Member]

_OCI = "application/vnd.oci.image"
_DOCKER = "application/vnd.docker"


@dataclass(frozen=True)
class Image:
    """Layers as plain tars, lowest first."""

    layers: tuple[bytes, ...]
    arch: str = "amd64"
    command: str = "/pause"

    @property
    def config(self) -> bytes:
        return text(
            {
                "created": "1970-01-01T00:00:00Z",
                "architecture": self.arch,
                "os": "linux",
                "config": {"Cmd": [self.command]},
                "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in self.layers]},
            }
        )


def layer(tree: Mapping[str, bytes]) -> bytes:
    """A layer with these programs, times zero, owner root. Empty: `.wh.x` takes `x` of the layers below away."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as opened:
        for name in sorted({str(above) for path in tree for above in Path(path).parents} - {"."}):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            opened.addfile(folder)
        for name, content in tree.items():
            _add(opened, name, content, 0o755)
    return out.getvalue()


def docker_20(images: Mapping[Image, Sequence[str]]) -> Archive:
    """`docker save` before Docker 25; without a tag as it saves by an id."""
    made: Archive = {}
    for image in images:
        made[f"{_hex(image.config)}.json"] = image.config
        for id, content in zip(_ids(image), image.layers, strict=True):
            made |= {id: None, f"{id}/VERSION": b"1.0", f"{id}/json": text({"id": id}), f"{id}/layer.tar": content}
    saved = [
        _saved(f"{_hex(image.config)}.json", tags or None, [f"{id}/layer.tar" for id in _ids(image)])
        for image, tags in images.items()
    ]
    made["manifest.json"] = text(saved)
    return made | _repositories({image: _ids(image)[-1] for image in images}, images)


def docker_28(images: Mapping[Image, Sequence[str]]) -> Archive:
    """`docker save` from Docker 25 on."""
    kept: dict[str, bytes] = {}
    entries, saved = [], []
    for image, tags in images.items():
        kind = f"{_OCI}.layer.v1.tar"
        layers = [_described(kind, content) for content in image.layers]
        manifest = _manifest(f"{_OCI}.manifest.v1+json", f"{_OCI}.config.v1+json", image.config, layers)
        for content in (image.config, manifest, *image.layers, *(text({"id": id}) for id in _ids(image))):
            kept[blob(content)] = content
        described = {**_described(f"{_OCI}.manifest.v1+json", manifest)}
        entries += [{**described, "annotations": _named(tag)} for tag in tags] or [described]
        sources = {digest(content): one for content, one in zip(image.layers, layers, strict=True)}
        of = _saved(blob(image.config), tags or None, [blob(content) for content in image.layers])
        saved.append({**of, "LayerSources": sources})
    made = _blobs(kept)
    made["index.json"] = text({"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": entries})
    made |= {"manifest.json": text(saved), "oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    return made | _repositories({image: _hex(image.layers[-1]) for image in images}, images)


def docker_archive(images: Mapping[Image, Sequence[str]]) -> Archive:
    """As podman, skopeo and buildah write for Docker."""
    made: Archive = {}
    for image in images:
        made |= {f"{_hex(content)}.tar": content for content in image.layers}
        made[f"{_hex(image.config)}.json"] = image.config
        for id, content in zip(_ids(image), image.layers, strict=True):
            made |= {f"{id}/layer.tar": f"../{_hex(content)}.tar", f"{id}/VERSION": b"1.0"}
            made[f"{id}/json"] = text({"id": id})
    saved = [
        _saved(f"{_hex(image.config)}.json", list(tags), [f"{_hex(content)}.tar" for content in image.layers])
        for image, tags in images.items()
    ]
    made["manifest.json"] = text(saved)
    return made | _repositories({image: _ids(image)[-1] for image in images}, images, always=True)


def oci_archive(images: Mapping[Image, str], packed: Callable[[bytes], bytes] = gzip.compress) -> Archive:
    """As podman, skopeo and buildah write an OCI layout: the reference is what they were told, or empty."""
    kept: dict[str, bytes] = {}
    entries = [_entry(_oci_manifest(image, packed, kept), reference) for image, reference in images.items()]
    return _layout(kept, entries)


def oci_platforms(images: Sequence[Image], reference: str) -> Archive:
    """`buildah manifest push --all` and `skopeo copy --all`: one image for several architectures."""
    kept: dict[str, bytes] = {}
    several = []
    for image in images:
        manifest = _oci_manifest(image, gzip.compress, kept)
        platform = {"architecture": image.arch, "os": "linux"}
        several.append({**_described(f"{_OCI}.manifest.v1+json", manifest), "platform": platform})
    index = text({"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": several})
    kept[blob(index)] = index
    return _layout(kept, [_entry(index, reference, f"{_OCI}.index.v1+json")])


def ctr(images: Mapping[Image, Sequence[str]]) -> Archive:
    """`ctr images export` and `nerdctl save`; names are whole."""
    kept: dict[str, bytes] = {}
    entries, saved = [], []
    for image, tags in images.items():
        kind = f"{_DOCKER}.image.rootfs.diff.tar"
        layers = [_described(kind, content) for content in image.layers]
        config = f"{_DOCKER}.container.image.v1+json"
        manifest = _manifest(f"{_DOCKER}.distribution.manifest.v2+json", config, image.config, layers)
        for content in (image.config, manifest, *image.layers):
            kept[blob(content)] = content
        described = _described(f"{_DOCKER}.distribution.manifest.v2+json", manifest)
        entries += [{**described, "annotations": _named(tag)} for tag in tags]
        short = [tag.removeprefix("docker.io/").removeprefix("library/") for tag in tags]
        saved.append(_saved(blob(image.config), short, [blob(content) for content in image.layers]))
    made = _blobs(kept)
    made["index.json"] = text({"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": entries})
    return made | {"manifest.json": text(saved), "oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}


def ko(image: Image, tag: str) -> Archive:
    """`ko build --tarball` and `crane pull`."""
    packed = [gzip.compress(content, mtime=0) for content in image.layers]
    files = {f"{_hex(content)}.tar.gz": content for content in packed}
    made: Archive = {digest(image.config): image.config, **files}
    return made | {"manifest.json": text([_saved(digest(image.config), [tag], list(files))])}


def write(archive: Archive, file: Path, packed: Callable[[bytes], bytes] = bytes) -> Path:
    """The tar, which is packed as a whole."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as opened:
        for name, content in archive.items():
            if isinstance(content, bytes):
                _add(opened, name, content, 0o644)
            else:
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = (tarfile.DIRTYPE if content is None else tarfile.SYMTYPE), 0o755
                entry.linkname = content or ""
                opened.addfile(entry)
    file.write_bytes(packed(out.getvalue()))
    return file


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


def text(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def digest(content: bytes) -> str:
    return f"sha256:{_hex(content)}"


def blob(content: bytes) -> str:
    return f"blobs/sha256/{_hex(content)}"


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _add(opened: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    opened.addfile(entry, io.BytesIO(content))


def _ids(image: Image) -> list[str]:
    """Docker's older ids of layers: any, as long as they differ."""
    return [_hex(b"id" + image.config + content) for content in image.layers]


def _saved(config: str, tags: object, layers: list[str]) -> dict[str, object]:
    return {"Config": config, "RepoTags": tags, "Layers": layers}


def _repositories(
    ids: Mapping[Image, str], images: Mapping[Image, Sequence[str]], *, always: bool = False
) -> dict[str, bytes]:
    found: dict[str, dict[str, str]] = {}
    for image, tags in images.items():
        for tag in tags:
            name, _, short = tag.rpartition(":")
            found.setdefault(name, {})[short] = ids[image]
    return {"repositories": text(found)} if found or always else {}


def _described(kind: str, content: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def _manifest(kind: str, config_kind: str, config: bytes, layers: Sequence[object]) -> bytes:
    described = _described(config_kind, config)
    return text({"schemaVersion": 2, "mediaType": kind, "config": described, "layers": layers})


def _oci_manifest(image: Image, packed: Callable[[bytes], bytes], kept: dict[str, bytes]) -> bytes:
    kind = f"{_OCI}.layer.v1.tar+{'zstd' if packed is zstd else 'gzip'}"
    layers = [packed(content) for content in image.layers]
    described = [_described(kind, content) for content in layers]
    manifest = _manifest(f"{_OCI}.manifest.v1+json", f"{_OCI}.config.v1+json", image.config, described)
    kept |= {blob(content): content for content in (image.config, manifest, *layers)}
    return manifest


def _named(tag: str) -> dict[str, str]:
    """Annotations of a name as Docker and containerd write them; Docker names have no domain here."""
    first = tag.split("/")[0]
    domain = "." in first or ":" in first.split(":")[0] or first == "localhost"
    whole = tag if domain and "/" in tag else f"docker.io/{tag}" if "/" in tag else f"docker.io/library/{tag}"
    return {"io.containerd.image.name": whole, "org.opencontainers.image.ref.name": tag.rpartition(":")[2]}


def _entry(content: bytes, reference: str, kind: str = f"{_OCI}.manifest.v1+json") -> dict[str, object]:
    annotations = {"annotations": {"org.opencontainers.image.ref.name": reference}} if reference else {}
    return {**_described(kind, content), **annotations}


def _layout(kept: Mapping[str, bytes], entries: Sequence[object]) -> Archive:
    made = _blobs(kept)
    made["index.json"] = text({"schemaVersion": 2, "manifests": entries})
    return made | {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}


def _blobs(kept: Mapping[str, bytes]) -> Archive:
    return {"blobs": None, "blobs/sha256": None, **{name: kept[name] for name in sorted(kept)}}
