"""The kubeconfig of a cluster: written when it is made, by `utils write-kubeconfig`, and taken back at its end."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadstead.cli import asked, profile, service
from roadstead.cli.actions import get, reach
from roadstead.cli.kubeconfig import entry, files, merge, owner
from roadstead.contract import programs
from roadstead.core import errors

_KEPT = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
"""Of the environment: where the profile is, if it is not at its usual place."""


@dataclass(frozen=True)
class WantedAccess:
    """What the flags say about the kubeconfig."""

    files: files.KubeconfigFiles
    owner: owner.FileOwner
    current: bool
    program: str
    """roadstead or aws."""
    usual: bool
    """kubectl finds it by itself."""


@dataclass(frozen=True)
class WrittenAccess:
    """Where a kubeconfig was written, and the context in it. `usual`: kubectl finds the file by itself."""

    path: str
    context: str
    usual: bool

    @property
    def hint(self) -> str:
        """eksctl's line; where there is no kubectl, with the one of this machine's Kubernetes."""
        flag = "" if self.usual else f" --kubeconfig={self.path}"
        if shutil.which("kubectl") is None:
            return f"there is no kubectl on PATH for \"{self.path}\", try '{_called()} kubectl{flag} get nodes'"
        return f"kubectl command should work with \"{self.path}\", try 'kubectl{flag} get nodes'"


def command(call: asked.FlagValues) -> None:
    """`utils write-kubeconfig`."""
    name = reach.cluster(call)
    wanted = asks(call, name)
    with reach.connection(call) as api:
        log = reach.log(call)
        done = write(api, get.cluster(api, name), wanted, call)
        log.line(f'saved kubeconfig as "{done.path}"', "✔")


def asks(call: asked.FlagValues, cluster: str) -> WantedAccess:
    """Raises Invalid for flags that do not go together, Denied for a file that cannot be written: before all else."""
    explicit = call.text("kubeconfig") if "kubeconfig" in call.given else None
    automatic = call.truth("auto-kubeconfig")
    if explicit and automatic:
        raise errors.Invalid("--kubeconfig and --auto-kubeconfig cannot be used at the same time")
    whose = owner.owner(os.environ)
    if automatic:
        explicit = str(files.automatic(whose.home, cluster))
    found = files.where(os.environ, whose.home, explicit)
    with owner.acting(whose):
        files.check(found)
    program = call.text("authenticator") or "roadstead"
    return WantedAccess(found, whose, call.truth("set-kubeconfig-context"), program, usual=explicit is None)


def write(api: service.Api, found: Mapping[str, Any], wanted: WantedAccess, call: asked.FlagValues) -> WrittenAccess:
    """Put the cluster's entries into the kubeconfig. `found`: from DescribeCluster. Raises Busy while it has none."""
    name, server = found["name"], found.get("endpoint")
    authority = found.get("certificateAuthority", {}).get("data")
    if not server or not authority:
        raise errors.Busy(f'cluster "{name}" has no endpoint yet: it is {found.get("status")}')
    caller = api.call("sts", "GetCallerIdentity")["Arn"]
    made = entry.KubeconfigEntry(
        name, api.region, server, authority, caller, program(api, name, wanted, call.text("profile"))
    )
    entry.check(made)
    default = str(wanted.files.default)
    with owner.acting(wanted.owner):
        files.change(wanted.files, functools.partial(_put, default=default, made=made, current=wanted.current))
    return WrittenAccess(default, made.context_name, wanted.usual)


def _put(texts: Mapping[str, str], *, default: str, made: entry.KubeconfigEntry, current: bool) -> Mapping[str, str]:
    return merge.put(texts, default, made, current=current)


def program(api: service.Api, name: str, wanted: WantedAccess, profile_asked: str | None) -> entry.ExecProgram:
    """What kubectl runs for a token. It works in any shell: nothing of this one's environment is needed.

    But for keys: those that only this environment has are not written into a file.
    """
    environment = {key: os.environ[key] for key in _KEPT if os.environ.get(key)}
    _, kept = profile.settings(os.environ, *reach.profiles(os.environ), profile_asked)
    own_keys = profile.environments_keys(os.environ, kept, profile_asked)
    named = profile_asked or os.environ.get("AWS_PROFILE") or profile.PROFILE
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        environment["AWS_ENDPOINT_URL"] = endpoint
    launcher = _launcher()
    if wanted.program == "aws" or launcher is None:
        tool = shutil.which("aws")
        if tool is None and wanted.program == "aws":
            raise errors.NotFound("--authenticator=aws: there is no program 'aws' on PATH")
        arguments = ["eks", "get-token", "--output", "json", "--cluster-name", name, "--region", api.region]
        environment[entry.MARK] = name
        command = tool or "aws"
    else:
        arguments, command = ["get-token", "--cluster-name", name, "--region", api.region], launcher
    if not own_keys:
        # As a flag: keys in the environment of that shell, which may be AWS's, go before AWS_PROFILE.
        arguments += ["--profile", named]
    return entry.ExecProgram(command, tuple(arguments), environment)


def _launcher() -> str | None:
    """The whole path of the `roadstead` that this is a part of."""
    checkout = os.environ.get(programs.CHECKOUT) or str(Path(__file__).resolve().parents[4])
    for path in (Path(checkout) / "roadstead", Path(shutil.which("roadstead") or "/nowhere")):
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    return None


def _called() -> str:
    """How this person calls `roadstead`: by its name on PATH, as README does in the checkout, or by its whole path."""
    launcher = _launcher()
    if launcher is None or shutil.which("roadstead"):
        return "roadstead"
    return "./roadstead" if Path(launcher).parent == Path.cwd() else launcher


def take_back(region: str, cluster: str, servers: list[str]) -> list[str]:
    """Take the cluster's own entries out of the kubeconfigs. The paths of those that had some.

    Raises Denied, Busy or Invalid.
    """
    whose = owner.owner(os.environ)
    automatic = files.automatic(whose.home, cluster)
    changed: list[str] = []

    def without(texts: Mapping[str, str]) -> Mapping[str, str]:
        after = merge.take(texts, cluster, region, servers)
        changed.extend(path for path, text in after.items() if text != texts[path])
        return after

    with owner.acting(whose):
        found = files.where(os.environ, whose.home, None)
        if any(path.exists() for path in found.all):
            files.change(found, without)
        if automatic.exists():
            files.change(files.KubeconfigFiles((automatic,), automatic), without)
            if str(automatic) in changed:
                automatic.unlink()
    return changed
