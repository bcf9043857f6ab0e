"""Names of images, made whole as Docker and containerd's CRI do it. Pure.

A pod's `x:1` is looked for as `docker.io/library/x:1`; an image that is kept under another spelling is never found.
Source: the grammar of references, github.com/distribution/reference; what it says of many names is in the tests.
"""

from __future__ import annotations

import re

from roadstead.core import errors

_DOMAIN, _OLD_DOMAIN = "docker.io", "index.docker.io"
_OFFICIAL = "library/"
_TAG = "latest"
_LONGEST = 255

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[A-Fa-f0-9:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DIGEST = r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}"
_WHOLE = re.compile(
    # The library lets names of registries have an underscore: then it takes them for the first part of a path.
    rf"(?P<domain>{_HOST}|{_PART})/(?P<path>{_PART}(?:/{_PART})*)"
    rf"(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)
_ID = re.compile(r"[a-f0-9]{64}")


def whole(name: str) -> str:
    """`x` as `docker.io/library/x:latest`: the name by which a pod that says `name` finds the image.

    Of a tag and a digest the digest counts. Raises Invalid for what is no name.
    """
    repository, tag, digest = _parts(name)
    return f"{repository}@{digest}" if digest else f"{repository}:{tag or _TAG}"


def tag_of(name: str) -> str:
    """The tag that a name says; empty when it says none. Raises Invalid for what is no name."""
    return _parts(name)[1]


def is_tag(word: str) -> bool:
    """Whether a reference in an OCI layout is a tag alone. containerd holds it so, too: anything else has `/:@`."""
    return bool(word) and not set("/:@") & set(word)


def _parts(name: str) -> tuple[str, str, str]:
    """Repository with its domain, tag, digest."""
    found = None if _ID.fullmatch(name) or len(name) > 2 * _LONGEST else _WHOLE.fullmatch(_with_domain(name))
    if found is None or len(found["path"]) > _LONGEST:
        raise errors.Invalid(f"{name!r} is no name of an image: it is [REGISTRY/]NAME[:TAG], NAME in lower case")
    return f"{found['domain']}/{found['path']}", found["tag"] or "", found["digest"] or ""


def _with_domain(name: str) -> str:
    first, slash, rest = name.partition("/")
    if not slash:
        return f"{_DOMAIN}/{_OFFICIAL}{name}"
    if first == _OLD_DOMAIN:
        first = _DOMAIN
    elif not (first == "localhost" or set(".:") & set(first) or first.lower() != first):
        first, rest = _DOMAIN, name
    if first == _DOMAIN and "/" not in rest:
        rest = f"{_OFFICIAL}{rest}"
    return f"{first}/{rest}"
