"""A service as somebody who has taken it over would use it: a process with its user, and a list of what it tries.

The list is the same for root, of whom all of it succeeds: so what fails for the service fails for its user, and not
because it was tried wrongly. Nothing of it changes anything.
"""

from __future__ import annotations

import json
import pwd
import subprocess
from collections.abc import Sequence
from typing import Any

from roadstead.agent_client import Client
from roadstead.contract import programs
from roadstead.contract.messages import desired
from roadstead.contract.messages.sections import catalog
from roadstead.core import instance
from roadstead.machine.supervision import tree

PYTHON = "/usr/bin/python3"
_TRY = """
import ctypes, json, os, socket, sys
asked = json.load(sys.stdin)
done = []
def attempt(what, action):
    try:
        action()
    except OSError:
        return
    done.append(what)
def open_(path, flags):
    os.close(os.open(path, flags | os.O_NONBLOCK))
def made(path):
    open_(path, os.O_WRONLY | os.O_CREAT)
    os.unlink(path)
def put(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        client.sendall(b"PUT /v1/desired HTTP/1.1\\r\\nHost: agent\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
        if b" 200 " not in client.recv(100):
            raise OSError("refused")
def trace(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "refused")
for path in asked["files"]:
    attempt("read " + path, lambda: open_(path, os.O_RDONLY))
    attempt("write " + path, lambda: open_(path, os.O_WRONLY))
for path in asked["folders"]:
    attempt("list " + path, lambda: os.listdir(path))
    attempt("make a file in " + path, lambda: made(path + "/.tried"))
for path in asked["agents"]:
    attempt("put to the agent at " + path, lambda: put(path))
for pid in asked["processes"]:
    attempt(f"signal {pid}", lambda: os.kill(pid, 0))
    attempt(f"read the environment of {pid}", lambda: open_(f"/proc/{pid}/environ", os.O_RDONLY))
    attempt(f"read the memory of {pid}", lambda: open_(f"/proc/{pid}/mem", os.O_RDONLY))
    attempt(f"list the files of {pid}", lambda: os.listdir(f"/proc/{pid}/fd"))
    attempt(f"trace {pid}", lambda: trace(pid))
for user in asked["users"]:
    attempt(f"become {user}", lambda: os.setresuid(user, -1, -1))
print(json.dumps(done))
"""
_LISTENERS = """
import json, socket, sys
told = {}
for process in sys.argv[2:]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        try:
            client.connect(sys.argv[1])
            client.sendall(json.dumps({"process": process}).encode() + b"\\n")
            data, descriptors, _, _ = socket.recv_fds(client, 65536, 64)
            told[process] = [[one["id"] for one in json.loads(data or b"[]")], len(descriptors)]
        except OSError as error:
            told[process] = type(error).__name__
print(json.dumps(told))
"""


def wishes(places: instance.Instance, processes: Sequence[int], users: Sequence[int]) -> dict[str, Any]:
    """All that one who has porter would like to have. What is there is looked up by root, whom nothing is hidden."""
    folders = [tree.serve_state(places), places.run / "tree", places.state / "blobs", tree.CACHE / "locks"]
    folders += [tree.log_folder(places, name) for name in ("agent", "serve", *tree.PORTERS)]
    found = {path for folder in folders for path in folder.rglob("*")}
    found |= {path for above in (places.state, places.run) for path in above.iterdir()}
    files = {path for path in found if path.is_file() and not path.is_symlink() and path.name != "settings.json"}
    assert {path.name for path in files} >= {
        "desired.db",
        "desired.db-wal",
        "desired.db-shm",
        "admin.json",
        "names.json",
    }
    return {
        "files": sorted(map(str, files)),
        "folders": [str(path) for path in (*folders, places.log) if path.is_dir()],
        "agents": [str(places.socket)],
        "processes": list(processes),
        "users": list(users),
    }


def tried(user: str | None, asked: dict[str, Any]) -> list[str]:
    """What of it is done by a process of that user; None: root."""
    found: list[str] = _said(user, _TRY, asked=json.dumps(asked))
    return found


def listeners(user: str, places: instance.Instance, *processes: str) -> dict[str, Any]:
    """By process: the ids of the sockets that the agent passes to that user, and how many; or why none."""
    told: dict[str, Any] = _said(user, _LISTENERS, str(places.passing_socket), *processes)
    return told


def _said(user: str | None, program: str, *words: str, asked: str = "") -> Any:
    """What a program of a user (None: root) prints, which is JSON."""
    become = [] if user is None else ["s6-setuidgid", user]
    done = subprocess.run(
        [*become, PYTHON, "-I", "-c", program, *words],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def porter_has_nothing(places: instance.Instance, others: Sequence[int]) -> None:
    """But what serve leaves for it, to read, and its own sockets. `others`: processes of the agent and of serve."""
    serve, porter = pwd.getpwnam(programs.USER), pwd.getpwnam(programs.PORTER_USER)
    asked = wishes(places, others, [serve.pw_uid, 0])
    each = len(asked["files"]) + len(asked["folders"])
    assert len(tried(None, asked)) == 2 * each + 1 + 5 * len(others) + 2
    assert tried(programs.PORTER_USER, asked) == []
    folder = tree.sections(places)
    files = [str(folder / one.file) for one in catalog.SECTIONS]
    own = {"files": files, "folders": [str(folder)], "agents": [], "processes": [], "users": []}
    assert tried(programs.PORTER_USER, own) == [*(f"read {file}" for file in files), f"list {folder}"]

    there = {
        name: desired.Listener(namespace="machine", address="127.0.0.1", port=port, process=process, user=user)
        for name, port, process, user in (
            ("x-own", 7101, "porter", porter.pw_uid),
            ("x-another", 7102, "another", 64001),
            ("x-serves", 7103, "serve", 64002),
        )
    }
    client = Client(places.socket)
    client.accept({"listeners": {name: (1, spec) for name, spec in there.items()}})
    client.wait_ready(20)
    told = listeners(programs.PORTER_USER, places, "porter", "another", "serve")
    assert told == {"porter": [["x-own"], 1], "another": [[], 0], "serve": [[], 0]}
    # Nor is any of porter's for serve, who cannot even ask.
    assert listeners(programs.USER, places, "porter") == {"porter": "PermissionError"}
    client.accept(delete={"listeners": dict.fromkeys(there, 1)})
