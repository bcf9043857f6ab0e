"""The agent's API as plain calls that block. Errors are those of core.errors, as the agent raised them."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from roadstead.contract import paths
from roadstead.contract.messages import desired, jobs, machine, observed, requests
from roadstead.core import errors

_T = TypeVar("_T")
_CODES = {
    kind.code: kind
    for kind in (
        errors.Invalid,
        errors.Denied,
        errors.NotFound,
        errors.Conflict,
        errors.AlreadyExists,
        errors.Gone,
        errors.LimitExceeded,
        errors.Busy,
        errors.Failed,
    )
}


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("agent", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """Calls to the agent at a socket. `timeout`: seconds for each answer."""

    def __init__(self, path: Path, timeout: float = 60.0) -> None:
        self._path = path
        self._timeout = timeout

    def status(self) -> observed.Status:
        """Raises Busy when the agent does not answer."""
        return self._json("GET", paths.STATUS, observed.Status)

    def machine(self) -> machine.Machine:
        """What the agent's machine has, as it is now."""
        return self._json("GET", paths.MACHINE, machine.Machine)

    def accept(
        self,
        put: Mapping[str, Mapping[str, tuple[int, desired.Message]]] | None = None,
        delete: Mapping[str, Mapping[str, int]] | None = None,
    ) -> requests.BatchAnswer:
        """Put and delete many objects at once, by kind and id, with their generations: all, or an error."""
        return self._json("PUT", paths.DESIRED, requests.BatchAnswer, batch(put or {}, delete or {}))

    def wanted(self) -> dict[str, dict[str, dict[str, object]]]:
        """Every desired state by kind and id: `generation`, `deleting`, `spec`."""
        body: dict[str, dict[str, dict[str, object]]] = json.loads(self._call("GET", paths.DESIRED))
        return body

    def observations(self) -> requests.Observations:
        """All of them, and the revision to watch from."""
        return self._json("GET", paths.OBSERVATIONS, requests.Observations)

    def keep_blob(self, content: bytes | Path) -> str:
        """Stream bytes or a file, unless the agent has them; returns the digest."""
        named = digest(content)
        try:
            self._call("HEAD", paths.blob(named))
        except errors.NotFound:
            if isinstance(content, Path):
                with content.open("rb") as file:
                    self._call("PUT", paths.blob(named), file)
            else:
                self._call("PUT", paths.blob(named), content)
        return named

    def engine(self, components: Mapping[str, Path]) -> desired.Engine:
        """The desired state of an engine, its binaries streamed."""
        return desired.Engine(components={name: self.keep_blob(path) for name, path in components.items()})

    def start_job(self, id: str, job: jobs.Job, expect: Mapping[str, int] | None = None) -> observed.JobResult:
        """`running`, or how it went if it was started before. Raises Conflict for another job of that id.

        `expect`: by `KIND/ID` the generations that must be those of now, else Conflict.
        """
        body = msgspec.json.encode(jobs.JobRequest(job=job, expect=dict(expect or {})))
        return self._json("PUT", paths.job(id), observed.JobResult, body)

    def job(self, id: str) -> observed.JobResult:
        """How a job goes or went. Raises NotFound."""
        return self._json("GET", paths.job(id), observed.JobResult)

    def shell(self, host: str) -> list[str]:
        """The command line that opens a shell in a host (as root)."""
        body = json.loads(self._call("GET", paths.shell(host)))
        return [str(word) for word in body["command"]]

    def logs(self, host: str, unit: str, lines: int = 100, follow: bool = False) -> Iterator[bytes]:
        """The log of a unit in chunks; with `follow` for ever."""
        connection = _Connection(self._path, None if follow else self._timeout)
        try:
            connection.request("GET", f"{paths.logs(host, unit)}?lines={lines}" + ("&follow=1" if follow else ""))
            response = connection.getresponse()
            if response.status >= 400:
                raise error(response.status, response.read())
            while chunk := response.read1(65536):
                yield chunk
        finally:
            connection.close()

    def watch(self, since: int, timeout: float) -> Iterator[observed.Changed]:
        """Changes after a revision; TimeoutError when there was none for `timeout` seconds."""
        connection = _Connection(self._path, timeout)
        deadline = time.monotonic() + timeout
        try:
            connection.request("GET", f"{paths.WATCH}?since={since}")
            response = connection.getresponse()
            if response.status != 200:
                raise error(response.status, response.read())
            while line := response.readline():
                if line.strip():
                    yield msgspec.json.decode(line, type=observed.Changed)
                    deadline = time.monotonic() + timeout
                # The empty lines of the heartbeat are not changes.
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError
                if connection.sock is not None:
                    connection.sock.settimeout(remaining)
        finally:
            connection.close()

    def wait(
        self, until: Callable[[dict[tuple[str, str], observed.Observation]], bool], timeout: float
    ) -> dict[tuple[str, str], observed.Observation]:
        """Watch until the observations (by kind and id) are as wanted; Busy with what is not ready at the deadline."""
        deadline = time.monotonic() + timeout
        first = self.observations()
        seen = {(one.kind, one.id): one for one in first.observations}
        try:
            if until(seen):
                return seen
            for change in self.watch(first.revision, timeout):
                if change.observation is None:
                    seen.pop((change.kind, change.id), None)
                else:
                    seen[change.kind, change.id] = change.observation
                if until(seen):
                    return seen
                if time.monotonic() > deadline:
                    break
        except TimeoutError:
            pass
        late = [f"{o.kind}/{o.id} {o.phase}: {o.reason}" for o in seen.values() if o.phase != "ready"]
        raise errors.Busy(f"not as wanted after {timeout:g} s: {'; '.join(late) or 'all are ready'}")

    def wait_ready(self, timeout: float) -> dict[tuple[str, str], observed.Observation]:
        """Until everything desired is observed ready in its generation."""
        wanted = {
            (kind, id): record["generation"]
            for kind, records in self.wanted().items()
            for id, record in records.items()
        }
        return self.wait(
            lambda seen: all(
                key in seen and seen[key].phase == "ready" and seen[key].generation == generation
                for key, generation in wanted.items()
            ),
            timeout,
        )

    def _json(self, method: str, path: str, type_: type[_T], body: bytes | None = None) -> _T:
        return msgspec.json.decode(self._call(method, path, body), type=type_)

    def _call(self, method: str, path: str, body: object = None) -> bytes:
        connection = _Connection(self._path, self._timeout)
        try:
            connection.request(method, path, body=body)  # type: ignore[arg-type]  # bytes or a file
            response = connection.getresponse()
            content = response.read()
        except (FileNotFoundError, ConnectionRefusedError) as away:
            raise errors.Busy(f"no agent listens on {self._path}: start it with `roadstead start`") from away
        finally:
            connection.close()
        if response.status >= 400:
            raise error(response.status, content)
        return content


def batch(
    put: Mapping[str, Mapping[str, tuple[int, desired.Message]]], delete: Mapping[str, Mapping[str, int]]
) -> bytes:
    """The body of a batch: puts and deletes by kind and id, with their generations."""
    return msgspec.json.encode(
        requests.Batch(
            put={
                kind: {
                    id: requests.Put(generation=generation, spec=msgspec.Raw(msgspec.json.encode(spec)))
                    for id, (generation, spec) in specs.items()
                }
                for kind, specs in put.items()
            },
            delete={
                kind: {id: requests.Delete(generation=generation) for id, generation in ids.items()}
                for kind, ids in delete.items()
            },
        )
    )


def error(status: int, body: bytes) -> errors.Error:
    """What the agent refused, as one of ours."""
    try:
        problem = msgspec.json.decode(body, type=requests.Problem)
    except msgspec.DecodeError:
        kind = errors.NotFound if status == 404 else errors.Failed
        return kind(f"the agent answered {status}")
    return _CODES.get(problem.code, errors.Failed)(problem.message, **problem.facts)


def digest(content: bytes | Path) -> str:
    """`sha256:...` of bytes or of a file."""
    if isinstance(content, bytes):
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
    with content.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
