"""The vocabulary of the grammar: a verb (`get`) has resources (`cluster`), a resource has flags (`--name`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["text", "integer", "truth", "list", "pairs", "duration"]
"""`list` is comma separated, `pairs` is k=v comma separated, both may be given more than once; `duration` is Go's
(`25m`, `1h30m`)."""

Does = Literal["works", "noted", "refused"]
"""What Roadstead does: as eksctl; accept it, without effect and saying why; or refuse it, saying why."""

WithFile = Literal["either", "never", "only"]
"""Whether a flag goes together with --config-file."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of a command, without dashes."""

    name: str
    means: str
    """What eksctl means by it."""
    kind: Kind = "text"
    short: str = ""
    default: str | None = None
    """As written on a command line; None where eksctl has none."""
    choices: tuple[str, ...] = ()
    does: Does = "works"
    why: str = ""
    """The reason, for `noted` and `refused`; for `works` a note, if there is something to say."""
    lands: str = ""
    """Where it lands in ClusterConfig: `metadata.name`, `managedNodeGroups[0].minSize`; empty for none."""
    with_file: WithFile = "either"
    one_off: bool = False
    """Cannot be represented in a ClusterConfig, so it does not go with --dry-run."""
    group: str = "General"


def noted(flag: Flag, why: str) -> Flag:
    """The flag is taken and changes nothing here, for this reason."""
    return replace(flag, does="noted", why=why)


def refused(flag: Flag, why: str) -> Flag:
    """Giving the flag is an error, for this reason."""
    return replace(flag, does="refused", why=why)


def grouped(group: str, *flags: Flag) -> tuple[Flag, ...]:
    """The flags under a headline of the help."""
    return tuple(replace(flag, group=group) for flag in flags)


@dataclass(frozen=True, slots=True)
class Resource:
    """What a verb acts on: a command such as `get cluster`."""

    name: str
    means: str
    aliases: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()
    action: str = ""
    """`module:function` in `roadstead.cli.actions`; empty for one that is refused."""
    why: str = ""
    """Why it is refused."""
    named_by: str = "name"
    """The flag that a name argument stands for."""


@dataclass(frozen=True, slots=True)
class Verb:
    """The first word of a command, as `get`."""

    name: str
    means: str
    resources: tuple[Resource, ...]

    def find(self, word: str) -> Resource | None:
        """A resource by its name or an alias."""
        return next((each for each in self.resources if word == each.name or word in each.aliases), None)
