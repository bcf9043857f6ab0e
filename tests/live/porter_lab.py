"""The programs of porter's live tests: who starts it, what stands for the world's resolver, and who asks it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.live import conftest

from roadstead.contract.messages.sections import section
from roadstead.serve.sections import publisher

# The interpreter may lie where only root can read: everything is imported before the user is changed. What setuid
# takes away (/proc/self is root's then) an exec would give back: s6-setuidgid, which execs, needs none of this.
START = """
import asyncio.selector_events, asyncio.sslproto, concurrent.futures.thread, ctypes, encodings.idna, os, signal, sys
from roadstead.porter import main as porter
import aiohttp.web_protocol
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
sys.exit(porter.main(sys.argv[2:]))
"""

UPSTREAM = """
import socket, struct, threading
def answer(query, stream):
    end = query.index(0, 12) + 5
    name = query[12:end - 4]
    flags, body = 0x8180, b"\\xc0\\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + bytes([192, 0, 2, 7])
    if name.startswith(b"\\x06silent"):
        return None
    if name.startswith(b"\\x03big") and not stream:
        flags, body = 0x8380, b""
    return query[:2] + struct.pack("!HHHHH", flags, 1, 1 if body else 0, 0, 0) + query[12:end] + body
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 5353))
tcp = socket.create_server(("127.0.0.1", 5353))
def datagrams():
    while True:
        query, peer = udp.recvfrom(65535)
        if (response := answer(query, False)) is not None:
            udp.sendto(response, peer)
threading.Thread(target=datagrams, daemon=True).start()
print("up", flush=True)
while True:
    peer, _ = tcp.accept()
    with peer:
        query = peer.recv(65535)[2:]
        response = answer(query, True) or b""
        peer.sendall(struct.pack("!H", len(response)) + response)
"""

ASK = """
import json, socket, struct, sys, time
server, name, type, how = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
query = struct.pack("!HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + labels + b"\\0" + struct.pack("!HH", type, 1)
began = time.monotonic()
if how == "udp":
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(8)
    client.connect((server, 53))
    client.send(query)
    response = client.recv(65535)
else:
    client = socket.create_connection((server, 53), 8)
    client.sendall(struct.pack("!H", len(query)) + query)
    whole = client.makefile("rb")
    response = whole.read(struct.unpack("!H", whole.read(2))[0])
flags = struct.unpack_from("!H", response, 2)[0]
assert response[:2] == query[:2] and flags & 0x8000
print(json.dumps({"code": flags & 15, "cut": bool(flags & 0x0200), "answers": struct.unpack_from("!H", response, 6)[0],
    "end": response[-4:].hex(), "seconds": time.monotonic() - began, "raw": response.hex()}))
"""

POST = """
import http.client, json, socket, ssl, sys, time
asked = json.load(sys.stdin)
context = ssl.create_default_context(cadata=asked["ca"])
held = [socket.create_connection((asked["address"], 443), 5) for _ in range(asked["held"])]
for one in held:
    one.sendall(b"x")
told = []
for body in asked["bodies"]:
    connection = http.client.HTTPSConnection(asked["address"], 443, context=context, timeout=5)
    headers = {"Authorization": "Bearer " + asked["bearer"], "Content-Type": "application/json"}
    connection.request("POST", "/authenticate", body, headers)
    response = connection.getresponse()
    told.append([response.status, response.read().decode()])
    connection.close()
print(json.dumps(told))
"""


REVIEWS = """
import http.client, json, ssl, sys, time
asked = json.load(sys.stdin)
context = ssl.create_default_context(cadata=asked["ca"])
headers = {"Authorization": "Bearer " + asked["bearer"], "Content-Type": "application/json"}
told = {"count": 0, "longest": 0.0, "resets": 0, "wrong": []}
print("up", flush=True)
end = time.monotonic() + asked["seconds"]
while (began := time.monotonic()) < end:
    while True:
        connection = http.client.HTTPSConnection(asked["address"], 443, context=context, timeout=20)
        try:
            connection.request("POST", "/authenticate", asked["body"], headers)
            response = connection.getresponse()
            if response.status != 200 or not json.load(response)["status"]["authenticated"]:
                told["wrong"].append(response.status)
            break
        except ConnectionResetError:
            # As API servers do (apiserver/pkg/util/webhook, DefaultShouldRetry).
            told["resets"] += 1
            time.sleep(0.5)
        except OSError as error:
            told["wrong"].append(repr(error))
            break
        finally:
            connection.close()
    told["count"] += 1
    told["longest"] = max(told["longest"], time.monotonic() - began)
print(json.dumps(told))
"""

HELD = """
import json, os, select, signal, socket, ssl, sys, time
asked = json.load(sys.stdin)
context = ssl.create_default_context(cadata=asked["ca"])
held = []
for _ in range(40):
    plain = socket.create_connection((asked["address"], 443), 5)
    held.append(context.wrap_socket(plain, server_hostname=asked["address"]))
    held[-1].settimeout(20)
print("up", flush=True)
os.kill(asked["frozen"], signal.SIGSTOP)
began = time.monotonic()
head = f"POST /authenticate HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer {asked['bearer']}\\r\\n"
body = asked["body"].encode()
whole = (head + f"Content-Length: {len(body)}\\r\\n\\r\\n").encode() + body
ends = []
for one in held:
    one.sendall(whole)
for one in held:
    try:
        said = one.recv(65536)
        # Python takes a reset within TLS for the end that it also is: the kernel tells them apart.
        poll = select.poll()
        poll.register(one, select.POLLIN)
        over = "reset" if any(events & select.POLLHUP for _, events in poll.poll(0)) else "ended"
        ends.append("answered" if b" 200 " in said else over)
    except OSError as error:
        ends.append(repr(error))
print(json.dumps({"ends": ends, "longest": time.monotonic() - began}))
"""

NAMES = """
import itertools, json, socket, struct, sys, time
server, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
told = {"count": 0, "longest": 0.0, "resets": 0, "wrong": []}

def asked(query, by_udp):
    if by_udp:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect((server, 53))
            client.send(query)
            return client.recv(65535)
    with socket.create_connection((server, 53), 5) as client, client.makefile("rb") as whole:
        client.sendall(struct.pack("!H", len(query)) + query)
        return whole.read(struct.unpack("!H", whole.read(2))[0])

print("up", flush=True)
end = time.monotonic() + seconds
for number in itertools.count():
    began = time.monotonic()
    if began >= end:
        break
    query = struct.pack("!HHHHHH", number % 65536, 0x0100, 1, 0, 0, 0) + labels + b"\\0" + struct.pack("!HH", 1, 1)
    try:
        try:
            response = asked(query, number % 2)
        except ConnectionResetError:
            # As resolvers do with any failure: two attempts (resolv.conf(5), `attempts`).
            told["resets"] += 1
            response = asked(query, number % 2)
        assert response[:2] == query[:2] and response[3] & 15 == 0
    except (OSError, AssertionError, struct.error) as error:
        told["wrong"].append(repr(error))
    told["count"] += 1
    told["longest"] = max(told["longest"], time.monotonic() - began)
    time.sleep(0.002)
print(json.dumps(told))
"""


@contextlib.contextmanager
def upstream(netns: Path | None) -> Iterator[None]:
    """What stands for the world's resolver, at 127.0.0.1:5353 of a namespace."""
    command = ["nsenter", f"--net={netns}", sys.executable, "-c", UPSTREAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def probing(netns: Path, program: str, *words: str, text: str = "") -> Iterator[dict[str, Any]]:
    """A program that asks all the time, from a namespace; what it tells is there after the block."""
    told: dict[str, Any] = {}
    command = ["nsenter", f"--net={netns}", sys.executable, "-c", program, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(text)
            process.stdin.close()
            assert process.stdout.readline() == "up\n"
            yield told
            told.update(json.loads(process.stdout.read()))
        finally:
            process.kill()


def publish(folder: Path, user: int, *sections: tuple[section.Section[Any], section.Body]) -> None:
    """Sections as serve writes them, for porter's user."""
    for of, content in sections:
        publisher.write(folder, of, content)
        os.chown(folder / of.file, user, user)


def started(agent: conftest.RunningAgent, user: int, sections: Path, log: Path, *more: str) -> subprocess.Popen[bytes]:
    """A porter of a user, as soon as it says that it is ready."""
    read, write = os.pipe()
    netns = f"--net={agent.places.machine_netns}"
    command = ["nsenter", netns, sys.executable, "-c", START, str(user)]
    command += ["--instance", agent.places.id, "--sections", str(sections), *more]
    environment = {**os.environ, "PYTHONPATH": str(conftest.ROOT / "src"), "ROADSTEAD_NOTIFY_FD": str(write)}
    with log.open("ab") as out:
        running = subprocess.Popen(command, env=environment, pass_fds=[write], stdout=out, stderr=out, cwd="/")
    os.close(write)
    with open(read, "rb") as ready:  # noqa: PTH123
        if ready.readline() != b"\n":
            running.kill()
            running.wait(10)
            raise AssertionError(log.read_text())
    return running
