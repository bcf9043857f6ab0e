"""Requests and answers in the words of the CNI specification, versions 0.4.0 to 1.1.0. Pure.

The CNI program on a node passes on four of its variables and its standard input. Not CNI_ARGS: they hold the names of
pods, which customers choose.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from roadstead.core import addresses, errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from roadstead.agent.links import wiring

VERSIONS = ("0.4.0", "1.0.0", "1.1.0")

_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_PROTOCOLS = ("tcp", "udp", "sctp")
_ANY = ("", "0.0.0.0", "::")

INCOMPATIBLE, UNKNOWN, BAD_VARIABLES, UNDECODABLE, BAD_CONFIG, TRY_AGAIN, UNAVAILABLE = 1, 3, 4, 6, 7, 11, 50
"""Source: CNI specification, section "Error". From 100 on codes are a program's own."""
FAILED, EXHAUSTED = 100, 101

_CODES: dict[type[errors.Error], int] = {
    errors.Invalid: BAD_CONFIG,
    errors.Denied: BAD_VARIABLES,
    errors.NotFound: UNKNOWN,
    errors.Busy: TRY_AGAIN,
    errors.LimitExceeded: EXHAUSTED,
}


class PortMapping(msgspec.Struct, frozen=True):
    """A port of the node that leads to the pod (`hostPort` of a container). See `_mapping` for how it is spelt."""

    hostport: int
    containerport: int
    protocol: str = "tcp"
    hostip: str = ""


class RuntimeConfig(msgspec.Struct, frozen=True, rename="camel"):
    """`runtimeConfig`: what the runtime adds for this pod. Other capabilities are not asked for."""

    port_mappings: tuple[dict[str, object], ...] | None = None


class Attachment(msgspec.Struct, frozen=True):
    """One that GC is to keep, as CNI 1.1 names it."""

    container: str = msgspec.field(name="containerID")
    device: str = msgspec.field(name="ifname")


class Config(msgspec.Struct, frozen=True, rename="camel"):
    """The network configuration, as far as it matters here; runtimes add to it as they like."""

    cni_version: str = ""
    name: str = ""
    runtime_config: RuntimeConfig | None = None
    valid: tuple[Attachment, ...] | None = msgspec.field(default=None, name="cni.dev/valid-attachments")


class CniRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the CNI program on a node sends. An open network namespace may come along."""

    command: str
    container: str = ""
    device: str = ""
    netns: str = ""
    """Its path in the node: only for the answer, never opened."""
    config: Config = Config()


class Port(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping that was checked. `address` is empty for all addresses of the node."""

    protocol: Literal["tcp", "udp", "sctp"]
    port: int
    target_port: int
    address: str = ""


class CniRefused(Exception):
    """An answer of the specification's form; `code` is of its table."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def decode(packet: bytes) -> CniRequest:
    """The request in a packet. Raises Refused for another form or an unknown version."""
    try:
        asked = msgspec.json.decode(packet, type=CniRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CniRefused(UNDECODABLE, f"the request is not understood: {error}") from error
    if asked.config.cni_version not in VERSIONS:
        known = ", ".join(VERSIONS)
        raise CniRefused(
            INCOMPATIBLE, f"cniVersion {asked.config.cni_version!r} is not spoken here; these are: {known}"
        )
    if asked.command in ("ADD", "DEL", "CHECK"):
        if not _CONTAINER.fullmatch(asked.container):
            raise CniRefused(BAD_VARIABLES, "CNI_CONTAINERID is missing or not of the specification's form")
        if not _DEVICE.fullmatch(asked.device):
            raise CniRefused(BAD_VARIABLES, "CNI_IFNAME is missing or not a name of an interface")
    return asked


def ports(config: Config) -> tuple[Port, ...]:
    """The ports of the node that are to lead to the pod. Those on IPv6 addresses are left out.

    Raises Refused for what cannot be right.
    """
    given = config.runtime_config and config.runtime_config.port_mappings
    found = []
    for mapping in map(_mapping, given or ()):
        protocol = mapping.protocol.lower()
        if mapping.hostport == 0 or (mapping.hostip not in _ANY and ":" in mapping.hostip):
            continue
        if protocol not in _PROTOCOLS:
            raise CniRefused(BAD_CONFIG, f"port mapping: protocol {protocol!r} is none of {', '.join(_PROTOCOLS)}")
        for port in (mapping.hostport, mapping.containerport):
            if not 1 <= port <= 65535:
                raise CniRefused(BAD_CONFIG, f"port mapping: {port} is no port")
        address = "" if mapping.hostip in _ANY else _address(mapping.hostip)
        made = msgspec.convert(
            {
                "protocol": protocol,
                "port": mapping.hostport,
                "target_port": mapping.containerport,
                "address": address,
            },
            Port,
        )
        found.append(made)
    return tuple(found)


def result(version: str, pod: wiring.Pod, netns: str) -> dict[str, object]:
    """The answer to an ADD, as that version of the specification has it."""
    ip: dict[str, object] = {"address": f"{pod.address}/32", "gateway": addresses.GATEWAY, "interface": 1}
    return {
        "cniVersion": version,
        "interfaces": [
            {"name": pod.link, "mac": addresses.ROUTER_MAC},
            {"name": pod.device, "mac": addresses.mac(pod.address), "sandbox": netns},
        ],
        "ips": [{"version": "4", **ip} if version == "0.4.0" else ip],
        "routes": [{"dst": "0.0.0.0/0", "gw": addresses.GATEWAY}],
        "dns": {},
    }


def refusal(version: str, error: CniRefused | errors.Error) -> dict[str, object]:
    """An error in the specification's form."""
    if isinstance(error, CniRefused):
        return {"cniVersion": version, "code": error.code, "msg": str(error)}
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), FAILED)
    details = "; ".join(f"{key}: {value}" for key, value in error.facts.items())
    return {"cniVersion": version, "code": code, "msg": error.message, "details": details}


def answer(output: object, *, good: bool) -> bytes:
    """The packet for the CNI program: what it prints (None: nothing) and how it ends."""
    return msgspec.json.encode({"exit": 0 if good else 1, "output": output})


def kept(attachments: Iterable[Attachment]) -> frozenset[tuple[str, str]]:
    """Container and device of what is still in use."""
    return frozenset((each.container, each.device) for each in attachments)


def _mapping(sent: Mapping[str, object]) -> PortMapping:
    """A port mapping as a runtime sends it: names of its fields count without regard to case.

    The specification's convention says `hostPort`, containerd says `HostPort` (the names of its Go fields), and the
    plugins that both were tried with are in Go, whose JSON reads either.
    """
    try:
        return msgspec.convert({name.lower(): value for name, value in sent.items()}, PortMapping)
    except msgspec.ValidationError as error:
        raise CniRefused(UNDECODABLE, f"a port mapping is not understood: {error}") from error


def _address(word: str) -> str:
    try:
        return str(ipaddress.IPv4Address(word))
    except ValueError as error:
        raise CniRefused(BAD_CONFIG, f"port mapping: hostIP {word!r} is no address") from error
