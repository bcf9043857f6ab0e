"""Requests and answers in the words of the CNI specification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roadstead.agent.links import wiring
from roadstead.agent.pods import cni
from roadstead.core import errors

CONFIG = {"cniVersion": "1.1.0", "name": "roadstead", "type": "roadstead-cni", "capabilities": {"portMappings": True}}
REQUEST = {"command": "ADD", "container": "c0ffee", "device": "eth0", "netns": "/run/netns/x", "config": CONFIG}
SENT: list[dict[str, str]] = json.loads((Path(__file__).parent / "golden" / "cni-messages.json").read_text())
"""Variables and standard input of a program that containerd's own libraries started: go-cni 1.1.13, libcni 1.3.0."""
POD = wiring.Pod("10.0.0.17", "eth0", "rp000000000001", "a")


def decoded(**changes: Any) -> cni.CniRequest:
    return cni.decode(json.dumps({**REQUEST, **changes}).encode())


def sent(command: str) -> list[cni.CniRequest]:
    """What was recorded of that command, as the relay packs it."""
    found = [{**one, "config": json.loads(one["config"])} for one in SENT if one["command"] == command]
    return [cni.decode(json.dumps(one).encode()) for one in found]


def test_what_containerd_sends_is_read() -> None:
    assert {one["command"] for one in SENT} == {"ADD", "CHECK", "DEL", "GC", "STATUS"}
    for asked in (*sent("ADD"), *sent("CHECK"), *sent("DEL")):
        assert (asked.container, asked.device, asked.config.name) == ("c0ffee", "eth0", "roadstead")
        assert cni.ports(asked.config) == (cni.Port("tcp", 9090, 8080), cni.Port("udp", 9053, 53, "10.0.0.4"))
    assert [asked.netns for asked in sent("DEL")] == ["/proc/self/ns/net", ""] * 2, "the second of each has none"
    assert [asked.config.cni_version for asked in sent("STATUS")] == ["1.1.0"]
    # A list of what is in use, an empty one, a null, and none at all: the last two say nothing.
    given = [asked.config.valid for asked in sent("GC")]
    assert given == [(cni.Attachment("c0ffee", "eth0"),), (), None, None]


def test_the_specifications_spelling_of_a_port_is_read_too() -> None:
    for names in (
        ("hostPort", "containerPort", "protocol", "hostIP"),
        ("HostPort", "ContainerPort", "Protocol", "HostIP"),
    ):
        mapping = dict(zip(names, (80, 8080, "UDP", "10.0.0.4"), strict=True))
        config = decoded(config={**CONFIG, "runtimeConfig": {"portMappings": [mapping]}}).config
        assert cni.ports(config) == (cni.Port("udp", 80, 8080, "10.0.0.4"),)
    for none in ({}, {"runtimeConfig": None}, {"runtimeConfig": {"portMappings": None}}):
        assert cni.ports(decoded(config={**CONFIG, **none}).config) == ()
    for wrong in ({"hostPort": "80", "containerPort": 1}, {"hostPort": 80}, {"containerPort": 80, "hostIP": 1}):
        with pytest.raises(cni.CniRefused) as refused:
            cni.ports(decoded(config={**CONFIG, "runtimeConfig": {"portMappings": [wrong]}}).config)
        assert refused.value.code == cni.UNDECODABLE


def mapped(**changes: Any) -> tuple[cni.Port, ...]:
    mapping = {"hostPort": 80, "containerPort": 8080, "protocol": "TCP", "hostIP": "", **changes}
    return cni.ports(decoded(config={**CONFIG, "runtimeConfig": {"portMappings": [mapping]}}).config)


def test_a_request_is_read() -> None:
    asked = decoded()
    assert (asked.command, asked.container, asked.device) == ("ADD", "c0ffee", "eth0")
    assert (asked.config.cni_version, asked.config.name, asked.config.valid) == ("1.1.0", "roadstead", None)
    collected = decoded(config={**CONFIG, "cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}]})
    assert cni.kept(collected.config.valid or ()) == {("a", "eth0")}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"container": ""}, cni.BAD_VARIABLES),
        ({"container": "../x"}, cni.BAD_VARIABLES),
        ({"container": "x" * 129}, cni.BAD_VARIABLES),
        ({"device": ""}, cni.BAD_VARIABLES),
        ({"device": "a/b"}, cni.BAD_VARIABLES),
        ({"device": "sixteen-letters-"}, cni.BAD_VARIABLES),
        ({"args": "K8S_POD_NAME=x"}, cni.UNDECODABLE),
        ({"config": []}, cni.UNDECODABLE),
        ({"config": {}}, cni.INCOMPATIBLE),
        ({"config": {"cniVersion": "0.3.1"}}, cni.INCOMPATIBLE),
    ],
)
def test_a_request_of_another_form_is_refused(changes: dict[str, Any], code: int) -> None:
    with pytest.raises(cni.CniRefused) as refused:
        decoded(**changes)
    assert refused.value.code == code


@pytest.mark.parametrize("packet", [b"", b'{"command": "\xff"}', b'{"x": ' + b"[" * 100_000])
def test_what_is_no_request_is_answered_all_the_same(packet: bytes) -> None:
    with pytest.raises(cni.CniRefused) as refused:
        cni.decode(packet)
    assert refused.value.code == cni.UNDECODABLE


def test_ports_of_the_node() -> None:
    assert mapped() == (cni.Port("tcp", 80, 8080),)
    assert mapped(hostIP="0.0.0.0") == mapped(hostIP="::") == mapped()
    assert mapped(hostIP="10.0.0.4", protocol="udp") == (cni.Port("udp", 80, 8080, "10.0.0.4"),)
    assert mapped(hostPort=0) == mapped(hostIP="fd00::1") == ()


@pytest.mark.parametrize(
    "changes", [{"hostPort": 65536}, {"containerPort": 0}, {"protocol": "icmp"}, {"hostIP": '1.2.3.4" drop'}]
)
def test_a_port_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(cni.CniRefused) as refused:
        mapped(**changes)
    assert refused.value.code == cni.BAD_CONFIG


def test_the_answer_of_each_version() -> None:
    newest = cni.result("1.1.0", POD, "/run/netns/x")
    assert newest == {
        "cniVersion": "1.1.0",
        "interfaces": [
            {"name": "rp000000000001", "mac": "ee:ee:ee:ee:ee:ee"},
            {"name": "eth0", "mac": "02:00:0a:00:00:11", "sandbox": "/run/netns/x"},
        ],
        "ips": [{"address": "10.0.0.17/32", "gateway": "169.254.1.1", "interface": 1}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}],
        "dns": {},
    }
    oldest = cni.result("0.4.0", POD, "/run/netns/x")
    assert oldest["ips"] == [{"version": "4", "address": "10.0.0.17/32", "gateway": "169.254.1.1", "interface": 1}]


def test_an_error_is_in_the_specifications_form() -> None:
    refused = cni.refusal("1.0.0", cni.CniRefused(cni.BAD_CONFIG, "no"))
    assert refused == {"cniVersion": "1.0.0", "code": 7, "msg": "no"}
    codes = {
        errors.Busy("b"): 11,
        errors.LimitExceeded("l"): 101,
        errors.Failed("f", output="o"): 100,
        errors.NotFound("n"): 3,
    }
    said = {error: cni.refusal("1.1.0", error) for error in codes}
    assert {error: answer["code"] for error, answer in said.items()} == codes
    assert all(isinstance(answer["code"], int) for answer in said.values())
    assert json.loads(cni.answer(refused, good=False)) == {"exit": 1, "output": refused}
    assert json.loads(cni.answer(None, good=True)) == {"exit": 0, "output": None}
