"""Where nodes get images from when it is not straight from the registry: mirrors, private authorities, proxies.

containerd reads its folder layout (`config_path`, HOST/hosts.toml) only from folders, and a unit has flat files. So
mirrors are the table `registry.mirrors` of its configuration, which 2.3 (supported to 2028) still reads with a
warning, and authorities come by SSL_CERT_DIR: Go adds those of the folders to the system's own, while SSL_CERT_FILE
would take the system's place. Proxies may have a password in their URLs, and containerd takes them from its environment
alone: they come to it in a secret file.

Source: containerd 2.3.7 internal/cri/server/images/image_pull.go; Go crypto/x509.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from roadstead.contract import naming
from roadstead.contract.messages import desired
from roadstead.core import errors

AUTHORITIES = "registries.pem"
"""The file with the private authorities, one of containerd's unit."""
PROXIES = "proxies.env"
"""The secret one with the proxies."""

_REGISTRY = re.compile(r"\*|[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?(:[0-9]{1,5})?")
_SYSTEM_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
"""Go's own, which a SSL_CERT_DIR without them would hide."""
_NEVER_BY_PROXY = ("localhost", "127.0.0.0/8", "169.254.0.0/16", ".svc", ".cluster.local", f".{naming.DOMAIN}")


@dataclass(frozen=True, kw_only=True)
class Registries:
    """Settings of the service. Raises Invalid for what cannot be right, naming it."""

    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """URLs by registry (`docker.io`, `registry.example:5000`, `*` for all others), asked in order before it."""
    authorities: str = ""
    """PEM certificates trusted besides the system's, for all registries and mirrors."""
    http_proxy: str = field(default="", repr=False)
    https_proxy: str = field(default="", repr=False)
    no_proxy: tuple[str, ...] = ()
    """Hosts, domains and CIDRs reached without a proxy, besides everything of the cluster."""

    def __post_init__(self) -> None:
        for registry, urls in self.mirrors.items():
            if not _REGISTRY.fullmatch(registry):
                raise errors.Invalid(f"mirrors: {registry!r} is not a registry; use HOST, HOST:PORT or *")
            for url in urls:
                _proved(f"mirrors of {registry}", url)
                if "@" in urllib.parse.urlsplit(url).netloc:
                    # containerd would not use it, and people are shown the list of mirrors.
                    raise errors.Invalid(
                        f"mirrors of {registry}: a URL with a password; give pods an imagePullSecret for the mirror"
                    )
        for name, url in (("http_proxy", self.http_proxy), ("https_proxy", self.https_proxy)):
            if url:
                _proved(name, url)
        for one in self.no_proxy:
            if not re.fullmatch(r"[^\s,]+", one):
                raise errors.Invalid(f"no_proxy: {one!r} is not a host, a domain or a CIDR")
        if self.authorities:
            # Only here: reading the library takes longer than all else that serve reads at its start.
            from cryptography import x509

            try:
                x509.load_pem_x509_certificates(self.authorities.encode())
            except ValueError as error:
                raise errors.Invalid(f"authorities of registries are not PEM certificates: {error}") from error


def read(content: bytes) -> Registries:
    """What `written` gave. Raises Failed for anything else."""
    try:
        return msgspec.json.decode(content, type=Registries)
    except msgspec.DecodeError as error:
        raise errors.Failed(f"the settings of registries are damaged: {error}") from error


def written(of: Registries) -> bytes:
    """The form at rest: the same settings have the same."""
    return msgspec.json.format(msgspec.json.encode(of, order="deterministic"), indent=1) + b"\n"


def _proved(where: str, url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        right = False
    # A control character would end up in a line of a configuration, or of an environment.
    if not right or not url.isprintable() or " " in url:
        # A password in it is nobody else's.
        shown = f"...@{url.rpartition('@')[2]}" if "@" in url else url
        raise errors.Invalid(f"{where}: {shown!r} is not a URL; write it as https://HOST:PORT")


def files(of: Registries, digests: Mapping[str, str]) -> dict[str, desired.UnitFile]:
    """The files of containerd's unit that registries need. All are read once, so a change is a restart.

    `digests` are those of `secrets`.
    """
    made = {name: desired.UnitFile(blob=digests[name], secret=True) for name in secrets(of)}
    return {**({AUTHORITIES: desired.UnitFile(content=of.authorities)} if of.authorities else {}), **made}


def secrets(of: Registries) -> dict[str, bytes]:
    """The secret files of containerd's unit by name: none, or more of its environment."""
    names = {"HTTP_PROXY": of.http_proxy, "HTTPS_PROXY": of.https_proxy}
    lines = "".join(f"{name}={url}\n" for name, url in names.items() if url)
    return {PROXIES: lines.encode()} if lines else {}


def table(of: Registries) -> str:
    """The part of containerd's configuration, in TOML; empty without mirrors."""
    at = 'plugins."io.containerd.cri.v1.images".registry.mirrors'
    return "".join(
        f"[{at}.{json.dumps(registry)}]\nendpoint = {json.dumps(list(urls))}\n"
        for registry, urls in sorted(of.mirrors.items())
    )


def environment(of: Registries, folder: str, inside: tuple[str, ...]) -> dict[str, str]:
    """What containerd's process gets besides. `folder` holds the unit's files; `inside` are the cluster's own CIDRs."""
    names: dict[str, str] = {}
    if of.authorities:
        names["SSL_CERT_DIR"] = ":".join((folder, *_SYSTEM_FOLDERS))
    if of.http_proxy or of.https_proxy:
        names["NO_PROXY"] = ",".join((*_NEVER_BY_PROXY, *inside, *of.no_proxy))
    return names
