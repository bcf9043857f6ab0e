"""One connection to an API server, kept alive: requests and watches without a library, so that a look costs little and
only the server is measured.
"""

from __future__ import annotations

import functools
import http.client
import json
import socket
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roadstead.agent.links import namespaces

Json = dict[str, Any]
_TRIES = 10
_LONGEST_PAUSE = 5
"""Seconds."""
_TYPES = {"PATCH": "application/merge-patch+json"}
_CORE, _APPS = "/api/v1", "/apis/apps/v1"
_SERVED = {
    "configmap": _CORE,
    "event": _CORE,
    "pod": _CORE,
    "persistentvolumeclaim": _CORE,
    "service": _CORE,
    "daemonset": _APPS,
    "deployment": _APPS,
    "statefulset": _APPS,
    "poddisruptionbudget": "/apis/policy/v1",
    "lease": "/apis/coordination.k8s.io/v1",
    "node": f"{_CORE}/",
    "persistentvolume": f"{_CORE}/",
    "namespace": f"{_CORE}/",
    "apiservice": "/apis/apiregistration.k8s.io/v1/",
}
"""Where the kinds are that tests look at; with a slash at the end those that are in no namespace."""


def path(kind: str, name: str = "", namespace: str = "default", part: str = "") -> str:
    """Of one object, or of all of a kind, which is named as kubectl takes it. Namespace "": in all of them."""
    singular = kind.removesuffix("s")
    served = _SERVED[singular]
    where = f"{served}{singular}s" if served.endswith("/") else f"{served}/{singular}s"
    if not served.endswith("/") and namespace:
        where = f"{served}/namespaces/{namespace}/{singular}s"
    return "/".join(word for word in (where, name, part) if word)


@dataclass(frozen=True)
class Answer:
    """A status, the headers named `Warning`, and the body."""

    status: int
    body: bytes
    warnings: tuple[str, ...] = ()

    @property
    def json(self) -> Json:
        """The object; fails with what the server said where it is none."""
        assert self.status < 300, f"{self.status}: {self.message}"
        found: Json = json.loads(self.body)
        return found

    @property
    def message(self) -> str:
        """What a `Status` says, or the whole text."""
        try:
            return str(json.loads(self.body)["message"])
        except (ValueError, KeyError):
            return self.body.decode(errors="replace")


@dataclass
class Api:
    """An API server or an endpoint in front of some."""

    address: str
    port: int
    tls: ssl.SSLContext
    timeout: float = 10.0
    token: str = field(default="", repr=False)
    netns: Path | None = None
    """Of the machine from which it is asked; this one's unless told."""
    _connection: http.client.HTTPSConnection | None = field(default=None, init=False)

    def ask(self, method: str, path: str, body: Json | None = None, query: Mapping[str, str] | None = None) -> Answer:
        """Whatever the answer is. A PATCH is a merge. Raises OSError when there is none.

        Who reads too early is told when to come again, e.g. while an API server fills its cache of a resource, and
        does: so do kubectl and all that is made of client-go (rest.Request, `WithRetry`).
        """
        for _ in range(_TRIES):
            answer, again = self._once(method, path, body, query)
            if method != "GET" or answer.status != 429 or not again.isdecimal():
                break
            time.sleep(min(int(again), _LONGEST_PAUSE))
        return answer

    def _once(self, method: str, path: str, body: Json | None, query: Mapping[str, str] | None) -> tuple[Answer, str]:
        """The answer, and the seconds after which to ask again, if it says so."""
        if self._connection is None:
            self._connection = self._opened(self.timeout)
        text = None if body is None else json.dumps(body)
        headers = {} if text is None else {"Content-Type": _TYPES.get(method, "application/json")}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            whole = f"{path}?{urllib.parse.urlencode(query)}" if query else path
            self._connection.request(method, whole, text, headers)
            answer = self._connection.getresponse()
            read = Answer(answer.status, answer.read(), tuple(answer.headers.get_all("Warning", ())))
            return read, answer.headers.get("Retry-After", "")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionError(f"{method} {path}: {error or type(error).__name__}") from error

    def __call__(self, method: str, path: str, body: Json | None = None) -> tuple[int, bytes]:
        """Status and answer. Raises OSError when there is none."""
        answer = self.ask(method, path, body)
        return answer.status, answer.body

    def get(self, path: str) -> Json:
        """An object; {} while there is none, or no answer."""
        try:
            status, body = self("GET", path)
        except OSError:
            return {}
        found: Json = json.loads(body) if status == 200 else {}
        return found

    def create(self, path: str, body: Json) -> Json:
        """Once more where the connection broke: what is there already was made by the request before."""
        try:
            status, answer = self("POST", path, body)
        except ConnectionError:
            status, answer = self("POST", path, body)
            status = 201 if status == 409 else status
        assert status in (200, 201), answer.decode()
        made: Json = json.loads(answer)
        return made

    def watch(self, path: str, timeout: float) -> Iterator[Json]:
        """Events of a watch on a connection of its own; ends `timeout` seconds after the last, or with the server."""
        connection = self._opened(timeout)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"} if self.token else {})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read().decode()
            while line := answer.readline():
                yield json.loads(line)
        except (TimeoutError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def awaited(self, path: str, judge: Callable[[list[Json]], bool], timeout: float, what: str) -> None:
        """Until the objects there are as they should be; by a watch: to ask all the time slows what is measured."""
        deadline = time.monotonic() + timeout
        found: dict[str, Json] = {}
        while time.monotonic() < deadline:
            try:
                for event in self.watch(f"{path}?watch=1", timeout):
                    name = event["object"]["metadata"].get("name", "")
                    if event["type"] == "DELETED":
                        found.pop(name, None)
                    else:
                        found[name] = event["object"]
                    if judge(list(found.values())):
                        return
            except (OSError, AssertionError):
                time.sleep(0.1)
            found.clear()
        raise TimeoutError(f"{what}: not within {timeout:g} s")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _opened(self, timeout: float) -> http.client.HTTPSConnection:
        return _Connection(self.address, self.port, timeout, self.tls, self.netns)


class _Connection(http.client.HTTPSConnection):
    """From a network namespace."""

    def __init__(self, address: str, port: int, timeout: float, tls: ssl.SSLContext, netns: Path | None) -> None:
        super().__init__(address, port, timeout=timeout, context=tls)
        self._tls = tls
        self._netns = netns

    def connect(self) -> None:
        if self._netns is None:
            super().connect()
            return
        plain = namespaces.open_socket(self._netns, socket.AF_INET, socket.SOCK_STREAM)
        try:
            plain.settimeout(self.timeout)
            plain.connect((self.host, self.port))
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


@functools.cache
def _anybody() -> ssl.SSLContext:
    # Not the default context: to read the machine's authorities takes longer than to be answered.
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def healthy(address: str, port: int) -> bool:
    """/readyz of anybody, without credentials, on a connection of its own."""
    api = Api(address, port, _anybody(), timeout=1.0)
    try:
        return api("GET", "/readyz")[0] == 200
    except OSError:
        return False
    finally:
        api.close()
