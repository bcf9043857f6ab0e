"""serve as somebody who has taken it over would have it, on a machine that was started with `roadstead start`.

Half a minute. What the agent's API refuses is tried more widely in `unit/test_taken_over.py`; here is what that takes
of a machine: users, owners, sockets, and that a refusal leaves nothing.
"""

from __future__ import annotations

import contextlib
import json
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest
from testkit import waiting
from tests.live.test_supervision import ROOT, pid, someone

from roadstead.contract import programs
from roadstead.core import instance, program
from roadstead.machine import start
from roadstead.machine.services import engines
from roadstead.machine.supervision import tree

pytestmark = [pytest.mark.live, pytest.mark.machine]

ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.settimeout(60)
    asked.connect(sys.argv[1])
    asked.sendall(sys.argv[2].encode() + b"\\n")
    print(asked.makefile().read(), end="")
"""

# Run by serve's user, in serve's environment: it has serve's code, its engines, and its way to the agent.
TAKE = """
import json, os, sys
from pathlib import Path
from roadstead import engine
from roadstead.agent_client import Client
from roadstead.core import errors
from roadstead.contract.messages import desired as d

client, mark = Client(Path(sys.argv[1]), timeout=60), sys.argv[2]
def found(spec):
    return engine.find(spec)
def tried(**kinds):
    try:
        client.accept({kind: {id: (1, one) for id, one in some.items()} for kind, some in kinds.items()})
    except errors.Error as error:
        return f"{error.code}: {error.message}"
    return "accepted"
def network(cidr, *users):
    return d.Network(cidrs=(cidr,), subnets=(d.Subnet(id="s", cidr=cidr, zone="a"),), machine_users=users)

me, out = os.getuid(), {}
net = network("198.19.200.0/26", me)
leg = d.Leg(network="net", address="198.19.200.4")
host = d.Host(role="node", privilege="privileged", zone="a", legs=(leg,), hostname="h")
good = found("containerd")
script = client.keep_blob(f"#!/bin/sh\\nid >{mark}\\n".encode())
digests = {name: client.keep_blob(path) for name, path in good.components.items()}
image = client.keep_blob(b"an archive")
units = {
    "h/containerd": d.Unit(engine="e", component="containerd"),
    "h/kubelet": d.Unit(engine="e", component="ctr", after="containerd", images=(image,)),
}
node = {"networks": {"net": net}, "hosts": {"h": host}, "units": units}
out["a script as an engine"] = tried(**node, engines={"e": d.Engine(components={**digests, "containerd": script})})
shell = d.Engine(components={"containerd": client.keep_blob(Path("/bin/sh"))})
out["a shell as an engine"] = tried(engines={"e": shell})
out["the machine's routes"] = tried(networks={"w": network("0.0.0.0/1", me)})
out["root in a network"] = tried(networks={"w": network("198.19.200.64/26", 0)})
door = {"network": "net", "target": "198.19.200.4", "target_port": 80}
for name, address, port in (("ssh", "0.0.0.0", 22), ("the world", "9.9.9.9", 20000)):
    publish = d.Publish(address=address, port=port, **door)
    out[name] = tried(networks={"net": net}, hosts={"h": host}, publishes={"p": publish})
for name, port, user in (("http", 80, me), ("https for somebody", 443, 1000)):
    listener = d.Listener(namespace="machine", address="0.0.0.0", port=port, process="x", user=user)
    out[name] = tried(listeners={"l": listener})
kept = client.wanted()
# serve itself has lent what a cluster needs.
out["kept"] = sorted({*kept} - {"engines"} | ({*kept.get("engines", {})} & {"e"}))
out["an engine that was got"] = tried(engines={good.id: d.Engine(components=digests)})
print(json.dumps(out))
"""


def as_user(user: str, *words: str, timeout: float = 120.0, **variables: str) -> subprocess.CompletedProcess[str]:
    settings = [f"{name}={value}" for name, value in {"PATH": program.PATH, **variables}.items()]
    command = ["s6-setuidgid", user, "env", "-i", *settings, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, cwd="/")


def test_whoever_takes_over_serve_does_not_get_the_machine(started_instance: instance.Instance, tmp_path: Path) -> None:
    places = started_instance
    person = someone(ROOT, places, tmp_path / "home")
    person.told("start", "--machine-netns", str(places.machine_netns), "--port", "4579", "--yes")
    _only_the_supplier_writes_engines(places)

    python = Path(f"/proc/{pid(places, 'serve')}/cmdline").read_bytes().split(b"\0")[0].decode()
    mark = Path("/tmp") / f"{places.id}-was-here"
    done = as_user(start.USER, python, "-c", TAKE, str(places.socket), str(mark), ROADSTEAD_CACHE=str(tree.CACHE))
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout)
    # What has no reason to be refused is not: it is not that nothing works.
    assert tried.pop("an engine that was got") == "accepted"
    assert tried.pop("kept") == []
    assert {name: answer for name, answer in tried.items() if not answer.startswith("Invalid: ")} == {}
    assert "not those of an engine that root or the supplier got" in tried["a script as an engine"]
    assert not mark.exists()
    looked = subprocess.run(
        ["nsenter", f"--net={places.machine_netns}", "ip", "-4", "route"], capture_output=True, text=True, check=True
    )
    assert looked.stdout == ""


def _only_the_supplier_writes_engines(places: instance.Instance) -> None:
    """serve has engines made by asking for them, and nobody else asks."""
    owner = pwd.getpwnam(programs.ENGINES_USER).pw_uid
    assert Path(f"/proc/{pid(places, 'supplier')}").stat().st_uid == owner
    assert (tree.CACHE.stat().st_uid, tree.CACHE.stat().st_mode & 0o777) == (owner, 0o755)
    inside = [tree.CACHE, tree.CACHE / "engines", *(tree.CACHE / "engines").glob("*/*/*/*")]
    assert {path.stat().st_uid for path in inside} == {owner}
    for place in inside:
        assert as_user(start.USER, "touch", str(place / "x")).returncode != 0

    def ask(user: str, question: str) -> str:
        done = as_user(user, "/usr/bin/python3", "-c", ASK, str(tree.supply(places)), question)
        return done.stdout or done.stderr

    # It is here, by the start: nothing is made.
    assert ask(start.USER, '{"engine": "pause"}') == "{}\n"
    assert json.loads(ask(start.USER, '{"engine": "etcd-9"}'))["problem"]["code"] == "NotFound"
    assert json.loads(ask(start.USER, '{"engine": "etcd", "path": "/tmp"}'))["problem"]["code"] == "Invalid"
    assert "PermissionError" in ask("nobody", '{"engine": "pause"}')


def test_the_supplier_makes_what_is_not_there_and_is_ended_with_all_it_began(
    started_instance: instance.Instance, tmp_path: Path
) -> None:
    places = started_instance
    person = someone(ROOT, places, tmp_path / "home")
    person.told("start", "--machine-netns", str(places.machine_netns), "--port", "4579", "--yes")
    owner = pwd.getpwnam(programs.ENGINES_USER).pw_uid
    question = ("/usr/bin/python3", "-c", ASK, str(tree.supply(places)), '{"engine": "seed"}')
    # Of all engines the one that is made of what is here.
    shutil.rmtree(tree.CACHE / "engines" / "seed")
    assert as_user(start.USER, *question, timeout=600).stdout == "{}\n"
    (made,) = (tree.CACHE / "engines" / "seed").glob("*/*/*")
    assert {(path.stat().st_uid, path.stat().st_mode & 0o444) for path in made.iterdir()} == {(owner, 0o444)}

    shutil.rmtree(tree.CACHE / "engines" / "seed")
    asking = subprocess.Popen(
        ["s6-setuidgid", start.USER, *question], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd="/"
    )
    try:
        waiting.until(
            "it is at it", lambda: any(name.endswith("kube-apiserver") for name in _programs_of(owner)), 60, every=0.01
        )
        person.told("stop")
        waiting.until("all of it has ended", lambda: _programs_of(owner) == [], 10)
    finally:
        asking.kill()
        asking.communicate(timeout=10)
    assert not list((tree.CACHE / "work").iterdir())


def _programs_of(user: int) -> list[str]:
    """What runs as a user."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == user:
                found.append((process / "cmdline").read_text().split("\0")[0])
    # What has ended and is not reaped yet has no words any more.
    return [name for name in found if name]


def test_a_cache_that_serves_user_wrote_is_not_taken_over(tmp_path: Path) -> None:
    """As an earlier release has left it. What it leads to stays."""
    cache, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (cache / "engines" / "pause").mkdir(parents=True)
    (cache / "engines" / "pause" / "pause").write_text("#!/bin/sh\n")
    (cache / "link").symlink_to(elsewhere)
    assert not engines.ready(cache, "nobody")
    assert engines.own(cache, "nobody")
    assert engines.ready(cache, "nobody")
    assert list(cache.iterdir()) == []
    assert cache.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "elsewhere"]
    assert (elsewhere / "file").exists()
    (cache / "kept").touch()
    assert not engines.own(cache, "nobody")
    assert (cache / "kept").exists()
