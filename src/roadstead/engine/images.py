"""OCI image archives, the same bit by bit for the same content.

    write(image, file), write_all(images, file) -> digest of the archive, `sha256:HEX`
    system_images(release), write_system(images, folder) -> what every node has from its start

An archive is a tar of an OCI image layout (image-spec 1.1) with images of one layer each. Names are sorted, times zero,
owners root, and nothing is compressed, so that no version of a library decides the bytes; but for the images of nodes,
which stay on the machine that made them. The index names an image twice: `io.containerd.image.name` for `ctr images
import`, `org.opencontainers.image.ref.name` for other tools.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, assert_never

import msgspec

from roadstead.core import errors
from roadstead.core.files import atomic
from roadstead.engine import install

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK = 1 << 20
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_LEVEL = 9
"""Of zstd: a second once for each machine; what is gained beyond it is small."""
_FORMAT = 2
"""Of archives: a higher number makes all of them anew."""
NOBODY = 65532
"""The user of images without a need for root; the id that distroless images use."""


@dataclass(frozen=True)
class ImageFile:
    """A regular file: its bytes, or the file on this machine that has them."""

    content: bytes | Path
    mode: int = 0o644


@dataclass(frozen=True)
class ImageFolder:
    """A folder of root's. Those above files need not be said."""

    mode: int = 0o755


@dataclass(frozen=True)
class ImageLink:
    """A symbolic link."""

    target: str


Node = ImageFile | ImageFolder | ImageLink


@dataclass(frozen=True)
class Image:
    """`tree` is by path without a leading `/`; folders above its nodes are made."""

    name: str
    """A full reference, `registry/name:tag`."""
    arch: str
    tree: Mapping[str, Node]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


def pause(program: Path, version: str, arch: str) -> Image:
    """The image that holds the namespaces of a pod open."""
    return Image(
        name=f"roadstead.dev/pause:{version}",
        arch=arch,
        tree={"pause": ImageFile(program, 0o755)},
        entrypoint=("/pause",),
        user=NOBODY,
    )


def coredns(program: Path, version: str, arch: str) -> Image:
    """CoreDNS. Not root: containerd lets every user of a pod have low ports."""
    return Image(
        name=f"roadstead.dev/coredns:{version}",
        arch=arch,
        tree={"coredns": ImageFile(program, 0o755), **_accounts(), "tmp": ImageFolder(0o1777)},
        entrypoint=("/coredns",),
        user=NOBODY,
    )


def volumes(program: Path, version: str, arch: str) -> Image:
    """The provisioner of volumes, and what it runs on a node: only there is it root, by its pod's wish."""
    return Image(
        name=f"roadstead.dev/volume-provisioner:{version}",
        arch=arch,
        tree={"volume-provisioner": ImageFile(program, 0o755), **_accounts(), "tmp": ImageFolder(0o1777)},
        entrypoint=("/volume-provisioner",),
        user=NOBODY,
    )


_SYSTEM: dict[str, tuple[str, Callable[[Path, str, str], Image]]] = {
    "pause": ("pause", pause),
    "coredns": ("coredns", coredns),
    "volumes": ("volume-provisioner", volumes),
}
"""By the engine that a system image is made of: the component, and its image."""


@dataclass(frozen=True)
class SystemImage:
    """An image that nodes have from their start, made on this machine. `name` is its full reference."""

    engine: str
    """The engine that it is made of: `pause`, `coredns`, `volumes`."""
    image: Image
    program: str
    """The digest of the program in it, `sha256:HEX`."""

    @property
    def name(self) -> str:
        """`roadstead.dev/pause:VERSION`."""
        return self.image.name

    def decides(self) -> object:
        """All that decides the bytes of its archive."""
        return (_FORMAT, self.program, _config(self.image, ""), self.image.name, sorted(self.image.tree))


def write_system(several: Sequence[SystemImage], folder: Path) -> Path:
    """One archive of system images in a folder of such archives, made when it is not there.

    The file's name says all that decides what is in it, so that another program is another file. One for all: each
    import is a program to be started on each node, which takes longer than to read a small image. Compressed: each
    node writes the layers to its disk before it unpacks them, and waits until they are there.
    """
    decides = hashlib.sha256(_json([each.decides() for each in several])).hexdigest()
    file = folder / f"system-{decides[:16]}.tar"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_all([each.image for each in several], file, compressed=True)
    return file


def system_images(release: str, get: Callable[[str], install.Installed] = install.get) -> tuple[SystemImage, ...]:
    """Those of a cluster of this release of Kubernetes: today the same for all. `get` has an engine by its name.

    Blocks while their engines are made. Raises what `get` raises.
    """
    del release
    made: list[SystemImage] = []
    for engine, (component, image_of) in _SYSTEM.items():
        installed = get(engine)
        program = image_of(installed.components[component], installed.version, installed.arch)
        made.append(SystemImage(engine, program, installed.digests[component]))
    return tuple(made)


def busybox(program: Path, applets: tuple[str, ...], arch: str) -> Image:
    """A small image for tests: a static busybox under the names of its applets."""
    links: dict[str, Node] = {f"bin/{applet}": ImageLink("busybox") for applet in applets if applet != "busybox"}
    folders: dict[str, Node] = {
        "tmp": ImageFolder(0o1777),
        "root": ImageFolder(0o700),
        "var": ImageFolder(),
        "run": ImageFolder(),
    }
    return Image(
        name="roadstead.dev/test:1.0",
        arch=arch,
        tree={"bin/busybox": ImageFile(program, 0o755), **links, **folders, **_accounts()},
        command=("/bin/sh",),
        environment={"PATH": "/bin"},
    )


def tree_of(root: Path) -> dict[str, Node]:
    """A root tree on this machine as the tree of an image. Raises Invalid for devices, sockets and pipes."""
    tree: dict[str, Node] = {}
    for above, folders, plain in os.walk(root):
        for name in (*folders, *plain):
            path = Path(above) / name
            tree[str(path.relative_to(root))] = _node(path)
    return tree


def write(image: Image, file: Path) -> str:
    """Write the archive, whole or not at all. Returns its digest. Raises Invalid for a path that leaves the root."""
    return write_all((image,), file)


def write_all(several: Sequence[Image], file: Path, *, compressed: bool = False) -> str:
    """One archive with several images: `ctr images import` has all of them from it. `compressed`: with zstd."""
    with contextlib.ExitStack() as stack:
        layers: dict[str, BinaryIO] = {}
        small: dict[str, bytes] = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"})}
        manifests = []
        for image in several:
            plain = stack.enter_context(tempfile.TemporaryFile(dir=file.parent))
            _write_layer(image.tree, plain)
            content = _digest_of(plain)
            packed = stack.enter_context(_packed(plain, file.parent)) if compressed else plain
            kind = f"{_LAYER}+zstd" if compressed else _LAYER
            layer = {"mediaType": kind, "digest": _digest_of(packed), "size": packed.tell()}
            config = _json(_config(image, content))
            manifest = _json(_manifest(config, layer))
            layers[_blob(str(layer["digest"]))] = packed
            small |= {_blob(_digest(config)): config, _blob(_digest(manifest)): manifest}
            manifests.append(_described(image, manifest))
        small["index.json"] = _json(_index(manifests))
        return _written(file, small, layers)


def _packed(plain: BinaryIO, folder: Path) -> BinaryIO:
    # Only here: few processes write images.
    import zstandard

    packed = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it is closed by who asked
    plain.seek(0)
    zstandard.ZstdCompressor(level=_LEVEL).copy_stream(plain, packed)
    return packed


def _written(file: Path, small: Mapping[str, bytes], layers: Mapping[str, BinaryIO]) -> str:
    """The archive of these, beside its place and renamed; its digest."""
    with atomic.replacing(file, 0o644, shared=True) as out:
        _write_archive(small, layers, out)
        return _digest_of(out)


def _accounts() -> dict[str, Node]:
    return {
        "etc/group": ImageFile(f"root:x:0:\nnonroot:x:{NOBODY}:\n".encode()),
        "etc/passwd": ImageFile(
            f"root:x:0:0:root:/:/bin/sh\nnonroot:x:{NOBODY}:{NOBODY}:nonroot:/:/bin/false\n".encode()
        ),
    }


def _node(path: Path) -> Node:
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return ImageLink(str(path.readlink()))
    if stat.S_ISDIR(status.st_mode):
        return ImageFolder(mode)
    if stat.S_ISREG(status.st_mode):
        return ImageFile(path, mode)
    raise errors.Invalid(f"{path} is neither a file, a folder nor a link: an image cannot hold it", path=path)


def _write_layer(tree: Mapping[str, Node], out: BinaryIO) -> None:
    whole: dict[str, Node] = {}
    for path in tree:
        parts = path.split("/")
        if not all(parts) or {".", ".."} & set(parts):
            raise errors.Invalid(f"{path!r} is no path below the root of an image", path=path)
        for depth in range(1, len(parts)):
            whole.setdefault("/".join(parts[:depth]), ImageFolder())
    whole.update(tree)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as layer:
        for path in sorted(whole):
            _add_node(layer, path, whole[path])


def _add_node(layer: tarfile.TarFile, path: str, node: Node) -> None:
    """A TarInfo is born with time 0 and owner 0."""
    entry = tarfile.TarInfo(path)
    match node:
        case ImageFile(content, mode):
            entry.mode = mode
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as opened:
                entry.size = opened.seek(0, os.SEEK_END)
                opened.seek(0)
                layer.addfile(entry, opened)
        case ImageFolder(mode):
            entry.type = tarfile.DIRTYPE
            entry.mode = mode
            layer.addfile(entry)
        case ImageLink(target):
            entry.type = tarfile.SYMTYPE
            entry.mode = 0o777
            entry.linkname = target
            layer.addfile(entry)
        case _:
            assert_never(node)


def _write_archive(small: Mapping[str, bytes], layers: Mapping[str, BinaryIO], out: BinaryIO) -> None:
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in ("blobs", "blobs/sha256"):
            _add_node(archive, folder, ImageFolder())
        for name in sorted((*small, *layers)):
            if name in layers:
                entry = tarfile.TarInfo(name)
                entry.size = layers[name].seek(0, os.SEEK_END)
                layers[name].seek(0)
                archive.addfile(entry, layers[name])
            else:
                _add_node(archive, name, ImageFile(small[name]))


def _config(image: Image, layer: str) -> object:
    settings: dict[str, object] = {"User": f"{image.user}:{image.user}"}
    if image.entrypoint:
        settings["Entrypoint"] = image.entrypoint
    if image.command:
        settings["Cmd"] = image.command
    if image.environment:
        settings["Env"] = [f"{name}={value}" for name, value in sorted(image.environment.items())]
    return {
        "created": "1970-01-01T00:00:00Z",
        "architecture": image.arch,
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "roadstead"}],
    }


def _manifest(config: bytes, layer: Mapping[str, object]) -> object:
    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": _digest(config), "size": len(config)},
        "layers": [layer],
    }


def _described(image: Image, manifest: bytes) -> object:
    return {
        "mediaType": _MANIFEST,
        "digest": _digest(manifest),
        "size": len(manifest),
        "annotations": {
            "io.containerd.image.name": image.name,
            "org.opencontainers.image.ref.name": image.name.rsplit(":", 1)[-1],
        },
        "platform": {"architecture": image.arch, "os": "linux"},
    }


def _index(manifests: Sequence[object]) -> object:
    return {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    }


def _json(content: object) -> bytes:
    return msgspec.json.encode(content, order="sorted")


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _digest_of(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"
