"""What is in an archive of images, and under which names containerd shall import it. Pure.

An archive has three small files that say so: `oci-layout` and `index.json` of an OCI image layout, and `manifest.json`
as Docker has written it since 1.10. Newer programs write all three for each other. containerd goes by the layout where
its version is there, names images by annotations of the index word by word, and ignores what has no name: the pods that
ask for a `docker.io/library/x:1` do not find its `x:1`. So names are made whole here, and an image that would come
about under none is refused. Source: containerd 2.3, core/images/archive/importer.go and client/import.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from roadstead.core import errors
from roadstead.machine.load import names

LAYOUT, INDEX, SAVED = "oci-layout", "index.json", "manifest.json"
TEXTS = frozenset((LAYOUT, INDEX, SAVED))

_T = TypeVar("_T")
_NAME, _REFERENCE = "io.containerd.image.name", "org.opencontainers.image.ref.name"
_ATTESTATION = "vnd.docker.reference.type"
"""BuildKit's annotation of what belongs to an image and is none. Source: moby/buildkit, docs/attestations."""


@dataclass(frozen=True)
class Contents:
    """The images in an archive by their whole names, and the files in it that must be others to make it so."""

    form: str
    """`oci`, or `docker`."""
    images: tuple[str, ...]
    changed: Mapping[str, bytes] = field(default_factory=dict)


class _Layout(msgspec.Struct, rename="camel"):
    image_layout_version: str = ""


class _Index(msgspec.Struct):
    manifests: list[dict[str, Any]] = []


class _Described(msgspec.Struct):
    digest: str
    annotations: dict[str, str] | None = None


class _Saved(msgspec.Struct, rename="pascal"):
    config: str
    repo_tags: list[str] | None = None
    layers: list[str] = []


@dataclass(frozen=True)
class _Given:
    """An image with a name as an archive gives it: whole, a tag alone, or empty. One image may have several."""

    image: str
    name: str


def understand(texts: Mapping[str, bytes], name: str = "") -> Contents:
    """What an archive with these files says is in it.

    `name` is for what has no name or a tag alone, and for an only image in any case; without a tag it leaves an image
    its own. Raises Invalid, msgspec.DecodeError for files of another form.
    """
    if _read(texts, LAYOUT, _Layout, _Layout()).image_layout_version:
        if INDEX not in texts:
            raise errors.Invalid("it is an OCI layout without index.json")
        return _layout(texts, name)
    if SAVED not in texts:
        raise errors.Invalid("it has neither an OCI layout nor manifest.json")
    return _saved(msgspec.json.decode(texts[SAVED], type=list[_Saved]), name)


def _layout(texts: Mapping[str, bytes], name: str) -> Contents:
    every = _read(texts, INDEX, _Index, _Index()).manifests
    entries = [entry for entry in every if _ATTESTATION not in _annotations(entry)]
    given = [_Given(msgspec.convert(entry, _Described).digest, _given(_annotations(entry))) for entry in entries]
    saved = _read(texts, SAVED, list[_Saved], [])
    if len(given) == len(saved) == 1 and not given[0].name:
        # Written for Docker, too, and named for it alone.
        entries = entries * max(1, len(saved[0].repo_tags or ()))
        given = [_Given(given[0].image, tag) for tag in saved[0].repo_tags or ("",)]
    chosen = _chosen(given, name)
    if [one.name for one in given] == chosen:
        return Contents("oci", _once(chosen))
    named = {
        one: {**entry, "annotations": {**_annotations(entry), _NAME: one}}
        for entry, one in zip(entries, chosen, strict=True)
    }
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [*named.values(), *(entry for entry in every if entry not in entries)],
    }
    return Contents("oci", tuple(named), {INDEX: msgspec.json.encode(index)})


def _saved(saved: Sequence[_Saved], name: str) -> Contents:
    given = [_Given(one.config, tag) for one in saved for tag in one.repo_tags or ("",)]
    chosen = _chosen(given, name)
    if not name:
        # containerd makes these names whole by itself.
        return Contents("docker", _once(chosen))
    tags = {one.config: [its for its, of in zip(chosen, given, strict=True) if of.image == one.config] for one in saved}
    named = [_Saved(one.config, list(_once(tags[one.config])), one.layers) for one in saved]
    return Contents("docker", _once(chosen), {SAVED: msgspec.json.encode(named)})


def _chosen(given: Sequence[_Given], name: str) -> list[str]:
    """The whole name of each. Raises Invalid where one has none, and where two images would have the same."""
    if not given:
        raise errors.Invalid("there is no image in it")
    alone = len({one.image for one in given}) == 1
    if name and not alone and not any(_nameless(one.name) for one in given):
        raise errors.Invalid(f"it has several images, and each has its name: nothing is left to be named {name}")
    chosen = [_name(one.name, name, alone=alone) for one in given]
    owners: dict[str, str] = {}
    for one, its in zip(given, chosen, strict=True):
        if owners.setdefault(its, one.image) != one.image:
            raise errors.Invalid(f"it has two images that would both be {its}: load them from an archive each")
    return chosen


def _name(given: str, wanted: str, *, alone: bool) -> str:
    if wanted and (alone or _nameless(given)):
        tag = given if names.is_tag(given) else names.tag_of(given) if given else ""
        return names.whole(wanted if names.tag_of(wanted) or not tag else f"{wanted}:{tag}")
    if _nameless(given):
        has = f"has the tag {given} and no name" if given else "has no name"
        raise errors.Invalid(f"an image in it {has}, so that no pod could use it: give it one with --name NAME[:TAG]")
    return names.whole(given)


def _nameless(given: str) -> bool:
    return not given or names.is_tag(given)


def _given(annotations: Mapping[str, str]) -> str:
    whole = annotations.get(_NAME, "")
    # By this annotation a name is a name, also one without a tag.
    return f"{whole}:latest" if names.is_tag(whole) else whole or annotations.get(_REFERENCE, "")


def _annotations(entry: Mapping[str, Any]) -> Mapping[str, str]:
    return msgspec.convert(entry, _Described).annotations or {}


def _read(texts: Mapping[str, bytes], name: str, type_: type[_T], default: _T) -> _T:
    return msgspec.json.decode(texts[name], type=type_) if name in texts else default


def _once(found: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))
