"""One connection to an API server, kept alive: requests and watches without a library, so that only it is measured."""

from __future__ import annotations

import functools
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Api:
    """An API server or an endpoint in front of some."""

    address: str
    port: int
    tls: ssl.SSLContext
    timeout: float = 10.0
    _connection: http.client.HTTPSConnection | None = field(default=None, init=False)

    def __call__(self, method: str, path: str, body: Json | None = None) -> tuple[int, bytes]:
        """Status and answer. Raises OSError when there is none."""
        if self._connection is None:
            self._connection = self._opened(self.timeout)
        try:
            text = None if body is None else json.dumps(body)
            self._connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionError(str(error)) from error

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
            connection.request("GET", path)
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
        return http.client.HTTPSConnection(self.address, self.port, timeout=timeout, context=self.tls)


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


def until(true: Callable[[], object], timeout: float, what: str, every: float = 0.02) -> float:
    """Monotonic time at which it was first true. Nobody outside is told, so it is asked again and again."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(every)
    return time.monotonic()
