"""Typed one-shot work: what is asked by name runs once, its result is kept, and no job is a free command."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec

from roadstead.agent.records import blobs, kept_jobs
from roadstead.agent.records import desired as store
from roadstead.contract import layout
from roadstead.contract.messages import desired, forms, observed
from roadstead.contract.messages import jobs as types
from roadstead.core import errors

log = logging.getLogger(__name__)

_ID = msgspec.json.Decoder(forms.Id)


@dataclass(frozen=True)
class JobKind:
    """What is known of one type of jobs."""

    command: Callable[[Any, str], list[str]]
    """The command line inside the host of a job. Raises Invalid for one that lacks what it needs."""
    archive: Callable[[Any], str | None] = lambda _: None
    """The blob that is lent to the host for it; where the host sees it is the command's second argument."""


def _import(job: types.ImageImport, archive: str) -> list[str]:
    return [*_ctr(job.engine), "images", "import", "--local", archive]


def _list(job: types.ImageList, _: str) -> list[str]:
    # The label is put on by the CRI when it has heard of an image. Source: containerd 2.3, internal/cri/labels.
    return [*_ctr(job.engine), "images", "list", "--quiet", 'labels."io.cri-containerd.image"==managed']


def _ctr(engine: str) -> tuple[str, ...]:
    """For the images of pods."""
    return (f"{layout.engine(engine)}/ctr", "--namespace", layout.IMAGES)


def last_words(output: str) -> str:
    """The end of what a program said, without the warnings that ctr logs at each start."""
    said = (line for line in output.strip().splitlines() if not re.match(r'time="\S+" level=warning ', line))
    return "\n".join(said)[-400:]


def _etcd(job: types.EtcdMember, _: str) -> list[str]:
    files = layout.files(job.unit)
    argv = [f"{layout.engine(job.engine)}/etcdctl", f"--endpoints={job.endpoint}", "--write-out=json"]
    for flag, name in (("cacert", job.ca), ("cert", job.certificate), ("key", job.key)):
        if name is not None:
            argv.append(f"--{flag}={files}/{name}")
    match job.action:
        case "list":
            return [*argv, "member", "list"]
        case "add-learner":
            if job.name is None or job.peer_url is None:
                raise errors.Invalid("etcd-member add-learner needs name and peer_url")
            return [*argv, "member", "add", job.name, f"--peer-urls={job.peer_url}", "--learner"]
        case "promote" | "remove":
            # Its place among the arguments is one where flags are read, too.
            if job.member is None or not re.fullmatch(r"[0-9a-f]{1,16}", job.member):
                raise errors.Invalid(f"etcd-member {job.action} needs member, its id in hexadecimal")
            return [*argv, "member", job.action, job.member]


KINDS: dict[type[types.Job], JobKind] = {
    types.ImageImport: JobKind(_import, lambda job: job.archive),
    types.ImageList: JobKind(_list),
    types.EtcdMember: JobKind(_etcd),
}


def command(job: types.Job, archive: str = "") -> list[str]:
    """The command line of a job inside its host. `archive` is where the host sees the blob of an import."""
    return KINDS[type(job)].command(job, archive)


class Jobs:
    """The jobs of one agent. `run` executes inside a host and returns exit code and output."""

    def __init__(
        self,
        records: store.DesiredStore,
        results: kept_jobs.KeptJobs,
        kept: blobs.Blobs,
        run: Callable[[str, int, list[str], float], Awaitable[tuple[int, str]]],
        lend: Callable[[str, str], str],
        spawn: Callable[[Coroutine[object, object, None]], object],
        uid: Callable[[str], int],
    ) -> None:
        """`lend` makes a blob readable inside a host and returns its path there."""
        self._records = records
        self._results = results
        self._blobs = kept
        self._run = run
        self._lend = lend
        self._spawn = spawn
        self._uid = uid

    def start(self, id: str, job: types.Job) -> observed.JobResult:
        """Start it, or say how it went when it was started before. Raises Conflict for another job of that id."""
        try:
            _ID.decode(msgspec.json.encode(id))
        except msgspec.ValidationError as error:
            raise errors.Invalid(f"job {id!r}: an id is of a-z, 0-9, '-', and dots between words") from error
        text = msgspec.json.encode(job, order="deterministic").decode()
        before = self._results.find(id)
        if before is not None and before[0] != text:
            raise errors.Conflict(f"job {id} is here with another content; choose another id", id=id)
        # What an agent before this one left running is started anew; every job may be done twice.
        if before is None or before[1] == "failed":
            self._prove(job)
            self._results.keep(id, text, "running")
            self._spawn(self._do(id, text, job))
        return self.result(id)

    async def bring(self, host: str, engine: str, archive: str) -> None:
        """An import for who sees by itself what was done: nothing is kept of it. Raises Failed, NotFound."""
        job = types.ImageImport(host=host, engine=engine, archive=archive)
        argv = command(job, self._lend(host, archive))
        code, output = await self._run(host, self._uid(host), argv, self._longest(job))
        if code != 0:
            raise errors.Failed(f"ctr ended with {code}: {last_words(output)}", archive=archive)

    def resume(self) -> None:
        """Go on with the jobs that an agent before this one did not finish."""
        for id, text in self._results.unfinished():
            self._spawn(self._do(id, text, msgspec.json.decode(text, type=types.Job)))

    def result(self, id: str) -> observed.JobResult:
        """How it goes or went. Raises NotFound."""
        found = self._results.find(id)
        if found is None:
            raise errors.NotFound(f"no job {id}", id=id)
        request, state, output, reason = found
        job = msgspec.json.decode(request)
        return msgspec.convert(
            {"id": id, "type": job["type"], "state": state, "output": output, "reason": reason},
            observed.JobResult,
        )

    def _prove(self, job: types.Job) -> None:
        """What is named must be here before the job is accepted."""
        if not isinstance(getattr(self._records.get(("hosts", job.host)), "spec", None), desired.Host):
            raise errors.NotFound(f"no host {job.host}", host=job.host)
        if self._records.get(("engines", job.engine)) is None:
            raise errors.NotFound(f"no engine {job.engine}", engine=job.engine)
        command(job)
        if (archive := KINDS[type(job)].archive(job)) is not None:
            self._blobs.path(archive)

    def _longest(self, job: types.Job) -> float:
        archive = KINDS[type(job)].archive(job)
        return types.longest(0 if archive is None else self._blobs.path(archive).stat().st_size)

    async def _do(self, id: str, text: str, job: types.Job) -> None:
        try:
            archive = KINDS[type(job)].archive(job)
            argv = command(job, "" if archive is None else self._lend(job.host, archive))
            code, output = await self._run(job.host, self._uid(job.host), argv, self._longest(job))
        except (errors.Error, OSError) as error:
            # A host that goes takes what was lent to it along.
            self._results.keep(id, text, "failed", "", str(error))
            return
        if code == 0:
            self._results.keep(id, text, "done", output)
        else:
            reason = f"{argv[0].rsplit('/', 1)[-1]} ended with {code}: {last_words(output)}"
            self._results.keep(id, text, "failed", output, reason)
