"""What is in each image that the suite asks for: trees of our own making, from programs and Debian's packages.

An image is known by its name without registry and tag: the suite of each release asks for tags of its own. What is not
in RECIPES is told of, and pods that want it fail.
"""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.conformance import debs

from roadstead.engine import images

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TOOLS = (
    *("bash", "coreutils", "libc-bin", "util-linux", "iproute2", "hostname"),
    *("bind9-dnsutils", "curl", "netcat-openbsd", "socat", "iperf"),
)
_NAMES = "hosts: files dns\n"
_NGINX = """\
user nobody nogroup;
pid /tmp/nginx.pid;
error_log /dev/stderr;
events { worker_connections 512; }
http {
  include /etc/nginx/mime.types;
  access_log /dev/stdout;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server { listen 80; listen [::]:80; root /usr/share/nginx/html; }
}
"""
_PAGE = "<html><body><h1>Welcome to nginx!</h1></body></html>\n"
_RELEASE = b'NAME="in place of Alpine Linux"\n'
"""By the name in it a case knows a volume that is an image."""
_IN_IMAGE = (1000, 50000)
"""The user and the group that a case of supplemental groups looks for in the image."""

_NOBODY = "nobody:x:65534:65534:nobody:/:/bin/false\n"

Tree = Mapping[str, images.Node]


@dataclass(frozen=True)
class Content:
    """Of one image."""

    tree: Tree
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: int = 0


@dataclass
class Sources:
    """What contents are made of. `programs`: the folder of programs.have; `folder`: where trees are unpacked."""

    programs: Path
    engines: Mapping[str, Path]
    """Programs of engines: `etcd`, `etcdctl`, `coredns`, `pause`."""
    box: Path
    """busybox, static."""
    folder: Path
    _trees: dict[tuple[str, ...], Tree] = field(default_factory=dict)
    _contents: dict[str, Content] = field(default_factory=dict)

    def content(self, name: str, made: Callable[[Sources], Content]) -> Content:
        """By the name of its recipe: several tags of one image are the same layer."""
        if name not in self._contents:
            self._contents[name] = made(self)
        return self._contents[name]

    def program(self, name: str, mode: int = 0o755) -> images.ImageFile:
        return images.ImageFile(self.programs / name, mode)

    def engine(self, name: str) -> images.ImageFile:
        return images.ImageFile(self.engines[name], 0o755)

    def packages(self, *names: str) -> Tree:
        """Debian's packages, a shell, and busybox for what they lack; unpacked once."""
        if names not in self._trees:
            root = debs.tree(names, self.folder / "-".join(("tree", *names)))
            self._trees[names] = {**_applets(self.box), **_base(), **images.tree_of(root)}
        shell: Tree = {"usr/bin/busybox": images.ImageFile(self.box, 0o755), "usr/bin/sh": images.ImageLink("busybox")}
        return {**self._trees[names], **shell}

    def busybox(self) -> Tree:
        return self.packages()

    def tools(self) -> Tree:
        return self.packages(*_TOOLS)


def _applets(program: Path) -> dict[str, images.Node]:
    listed = subprocess.run([program, "--list"], capture_output=True, text=True, check=True, timeout=30).stdout
    return {f"usr/bin/{name}": images.ImageLink("busybox") for name in listed.split() if name != "busybox"}


def _base() -> dict[str, images.Node]:
    user, group = _IN_IMAGE
    passwd = f"root:x:0:0:root:/root:/bin/sh\n{_NOBODY}user-defined-in-image:x:{user}:{user}::/:/bin/sh\n"
    groups = f"root:x:0:\nnogroup:x:65534:\nuser-defined-in-image:x:{user}:\n"
    groups += f"group-defined-in-image:x:{group}:user-defined-in-image\n"
    return {
        "etc/passwd": images.ImageFile(passwd.encode()),
        "etc/group": images.ImageFile(groups.encode()),
        "etc/nsswitch.conf": images.ImageFile(_NAMES.encode()),
        **{name: images.ImageFolder() for name in ("proc", "sys", "dev", "run", "home", "mnt", "var/log", "var/cache")},
        "root": images.ImageFolder(0o700),
        "tmp": images.ImageFolder(0o1777),
        "var/tmp": images.ImageFolder(0o1777),
    }


def _agnhost(of: Sources) -> Content:
    tools = {
        **of.tools(),
        "usr/bin/nc": images.ImageLink("nc.openbsd"),
        "usr/local/bin/iperf": images.ImageLink("/usr/bin/iperf"),
        "agnhost": of.program("agnhost"),
        "agnhost-2": images.ImageLink("agnhost"),
        "coredns": of.engine("coredns"),
        "uploads": images.ImageFolder(0o777),
        **_certificate(),
    }
    return Content(tools, ("/agnhost",), ("pause",))


def _certificate() -> Tree:
    """With which `agnhost porter` serves TLS where it is told of no other. Nobody checks it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=3650))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return {"localhost.crt": images.ImageFile(certificate), "localhost.key": images.ImageFile(private)}


def _page(name: str) -> Callable[[Sources], Content]:
    def made(of: Sources) -> Content:
        data = f'{{"image": "{name}.jpg"}}\n'
        tree = {
            **of.busybox(),
            "agnhost": of.program("agnhost"),
            "data.json": images.ImageFile(data.encode()),
            "etc/os-release": images.ImageFile(_RELEASE),
            f"{name}.jpg": images.ImageFile(b"\xff\xd8\xff\xd9"),
        }
        return Content(tree, ("/agnhost",), ("test-webserver",))

    return made


def _nginx(of: Sources) -> Content:
    tree = {
        **of.packages("nginx-light"),
        "etc/nginx/nginx.conf": images.ImageFile(_NGINX.encode()),
        "usr/share/nginx/html/index.html": images.ImageFile(_PAGE.encode()),
    }
    return Content(tree, (), ("nginx", "-g", "daemon off;"))


def _pause(of: Sources) -> Content:
    return Content({"pause": of.engine("pause")}, ("/pause",), user=65535)


def _etcd(of: Sources) -> Content:
    programs = {f"usr/local/bin/{name}": of.engine(name) for name in ("etcd", "etcdctl")}
    return Content({**of.busybox(), **programs}, (), ("/usr/local/bin/etcd",))


def _only(name: str) -> Callable[[Sources], Content]:
    def made(of: Sources) -> Content:
        return Content({name: of.program(name), "tmp": images.ImageFolder(0o1777)}, (f"/{name}",))

    return made


def _setuid(of: Sources) -> Content:
    tree = {**of.busybox(), "usr/local/bin/nnp": of.program("nonewprivs", 0o6755)}
    return Content(tree, (), ("nnp",))


def _consumer(of: Sources) -> Content:
    programs = {"consumer": of.program("resource-consumer"), "consume-cpu/consume-cpu": of.program("consume-cpu")}
    return Content({**of.busybox(), **programs}, ("/consumer",))


RECIPES: Mapping[str, Callable[[Sources], Content]] = {
    "agnhost": _agnhost,
    "busybox": lambda of: Content(of.busybox(), (), ("sh",)),
    "etcd": _etcd,
    "glibc-dns-testing": lambda of: Content(of.tools(), (), ("sh",)),
    "ipc-utils": lambda of: Content(of.tools(), (), ("sh",)),
    "jessie-dnsutils": lambda of: Content(of.tools(), (), ("sh",)),
    "kitten": _page("kitten"),
    "nautilus": _page("nautilus"),
    "nginx": _nginx,
    "nonewprivs": _setuid,
    "nonroot": lambda of: Content(of.busybox(), (), ("sh",), user=1234),
    "pause": _pause,
    "regression-issue-74839": _only("regression-issue-74839"),
    "resource-consumer": _consumer,
    "sample-apiserver": _only("sample-apiserver"),
}
"""By an image's name."""
REGISTRIES = ("registry.k8s.io/", "registry.k8s.io/e2e-test-images/")
"""Whose images are made; the suite names others to see that they cannot be had."""


def recipe(name: str) -> Callable[[Sources], Content] | None:
    """For a full name, `registry.k8s.io/e2e-test-images/agnhost:2.66.1`; None where there is none. Pure."""
    above, _, last = name.rpartition("/")
    return RECIPES.get(_short(last)) if f"{above}/" in REGISTRIES else None


def _short(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[0]


def image(name: str, of: Sources, arch: str) -> images.Image | None:
    """The image under the name that the suite asks for."""
    made = recipe(name)
    if made is None:
        return None
    content = of.content(_short(name), made)
    return images.Image(
        *(name, arch, content.tree, content.entrypoint, content.command, content.user),
        environment={"PATH": PATH},
    )
