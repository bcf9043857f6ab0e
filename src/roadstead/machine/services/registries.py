"""`--registries FILE`: where nodes get images from, as an administrator writes it, and as serve is given it.

Root reads the file and the certificates that it names once, at the start that names it, and keeps one file with all of
it beside the instance's settings: serve, which has no root, reads nothing else. Its name is made of its content, so
that other settings are another command line, and serve is restarted by them and by nothing less.
"""

from __future__ import annotations

import grp
import hashlib
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import ruamel.yaml
import ruamel.yaml.error

from roadstead.clusters.components import registries
from roadstead.core import errors, instance
from roadstead.core.files import atomic

NONE = "none"
"""Instead of a file: nodes get images straight from registries."""
_PREFIX = "registries-"
_LARGEST = 1 << 20
_PEM = "-----BEGIN"


class WrittenRegistries(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file, in TOML or YAML."""

    mirrors: dict[str, str | list[str]] = {}
    """URLs, or one, by registry (`docker.io`, `registry.example:5000`, `*` for all others); asked before it."""
    authorities: str | list[str] = []
    """Files of PEM certificates, from the folder of this file on, or such text itself."""
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: list[str] = []


def given(path: Path) -> registries.Registries:
    """The settings in a file. Raises Invalid, which names the file and what is wrong with it."""
    try:
        wanted = msgspec.convert(_document(path), WrittenRegistries)
        return registries.Registries(
            mirrors={name: tuple(_list(urls)) for name, urls in wanted.mirrors.items()},
            authorities="".join(_pem(each, path.parent) for each in _list(wanted.authorities)),
            http_proxy=wanted.http_proxy,
            https_proxy=wanted.https_proxy,
            no_proxy=tuple(wanted.no_proxy),
        )
    except (errors.Invalid, msgspec.ValidationError) as error:
        raise errors.Invalid(f"--registries {path}: {error}", file=path) from error


def keep(places: instance.Instance, of: registries.Registries, group: str | int) -> str:
    """Put them where serve finds them, for `group` alone to read; the file's name."""
    content = registries.written(of)
    name = f"{_PREFIX}{hashlib.sha256(content).hexdigest()[:16]}.json"
    instance.make_state(places)
    gid = group if isinstance(group, int) else grp.getgrnam(group).gr_gid
    # Proxies have passwords in their URLs.
    atomic.write(places.state / name, content, 0o640, owner=(-1, gid))
    return name


def prune(places: instance.Instance, kept: str | None) -> None:
    """Remove the files of settings that are not in use any more."""
    for path in places.state.glob(f"{_PREFIX}*.json"):
        if path.name != kept:
            path.unlink()


def _document(path: Path) -> Any:
    """What is in the file: TOML by its name, else YAML."""
    try:
        text = _text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"it cannot be read: {error}") from error
    try:
        if path.suffix.lower() == ".toml":
            return tomllib.loads(text)
        return ruamel.yaml.YAML(typ="safe", pure=True).load(text) or {}
    except (tomllib.TOMLDecodeError, ruamel.yaml.error.YAMLError) as error:
        kind = "TOML" if path.suffix.lower() == ".toml" else "YAML"
        raise errors.Invalid(f"it is not {kind}: {' '.join(str(error).split())}") from error


def _text(path: Path) -> str:
    """Raises Invalid for more than anybody writes, OSError and UnicodeDecodeError."""
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise errors.Invalid(f"{path} is too large for a file of settings")
    return content.decode()


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _pem(text: str, folder: Path) -> str:
    if text.lstrip().startswith(_PEM):
        return f"{text.strip()}\n"
    try:
        return f"{_text(folder / text).strip()}\n"
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"authorities: {folder / text} cannot be read: {error}") from error
