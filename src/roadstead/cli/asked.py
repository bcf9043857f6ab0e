"""One call of a command: what was asked by flags, by the name argument, and by a config file.

ClusterConfig and what reads it are imported when they are needed: `get` does not wait for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roadstead.cli.grammar import flags
from roadstead.core import errors

if TYPE_CHECKING:
    from roadstead.cli import config

Value = str | int | bool | float | tuple[str, ...] | dict[str, str]
"""Of a flag: text, integer, truth, duration in seconds, list, pairs."""


@dataclass(frozen=True)
class FlagValues:
    """`values` has the flags that were given and the defaults of the others; `given` names the former."""

    resource: flags.Resource
    values: Mapping[str, Value]
    given: frozenset[str]
    name: str | None = None
    """The name argument."""
    file: config.ClusterConfig | None = None
    """From --config-file."""

    def text(self, flag: str) -> str | None:
        """None: it was not given and has no default."""
        value = self.values.get(flag)
        return None if value is None else str(value)

    def truth(self, flag: str) -> bool:
        """Not given is false, unless its default is true."""
        return self.values.get(flag) is True

    def number(self, flag: str) -> int | None:
        """None: it was not given."""
        value = self.values.get(flag)
        return value if isinstance(value, int) else None

    def seconds(self, flag: str) -> float:
        """Of a flag that is a time and has a default."""
        value = self.values.get(flag)
        assert isinstance(value, float), flag
        return value

    def texts(self, flag: str) -> tuple[str, ...]:
        """Of a flag that may be given many times; empty: it was not."""
        value = self.values.get(flag, ())
        assert isinstance(value, tuple), flag
        return value

    @property
    def file_name(self) -> str | None:
        """The cluster's name in the config file."""
        return self.file.metadata.name if self.file is not None and self.file.metadata is not None else None

    @property
    def file_region(self) -> str | None:
        """None: there is no config file, or it says none."""
        return self.file.metadata.region if self.file is not None and self.file.metadata is not None else None


def check(asked: FlagValues) -> None:
    """Refuse what cannot go together, and what Roadstead does not do. Raises Invalid, in eksctl's words.

    Source: eksctl's pkg/ctl/cmdutils/configfile.go.
    """
    for flag in asked.resource.flags:
        if flag.name not in asked.given:
            continue
        if flag.does == "refused" and asked.values[flag.name] is not False:
            raise errors.Invalid(f"--{flag.name} is not supported: {flag.why}")
        if asked.file is None and flag.with_file == "only":
            raise errors.Invalid(f"cannot use --{flag.name} unless a config file is specified via --config-file/-f")
        if asked.file is not None and flag.with_file == "never":
            raise errors.Invalid(f"cannot use --{flag.name} when --config-file/-f is set")
        if asked.truth("dry-run") and flag.one_off:
            raise errors.Invalid(
                f"cannot use --{flag.name} with --dry-run as this option cannot be represented in ClusterConfig"
                + (": set the AWS_PROFILE environment variable instead" if flag.name == "profile" else "")
            )
    named = asked.text(asked.resource.named_by)
    if asked.name is not None and named is not None:
        raise errors.Invalid(
            f"--{asked.resource.named_by}={named} and argument {asked.name} cannot be used at the same time"
        )
    if asked.file is not None:
        for key, value in (("name", asked.file_name), ("region", asked.file_region)):
            if not value:
                raise errors.Invalid(f"metadata.{key} must be set")


def warnings(asked: FlagValues) -> list[str]:
    """One line for each flag that was given and has no effect."""
    return [
        f"--{flag.name} has no effect: {flag.why}"
        for flag in asked.resource.flags
        if flag.does == "noted" and flag.name in asked.given
    ]


def filled(asked: FlagValues) -> config.ClusterConfig:
    """What flags say as a ClusterConfig: each flag that was given lands where the grammar has it. Raises Invalid."""
    from roadstead.cli import documents

    tree: dict[str, Any] = {}
    for flag in asked.resource.flags:
        if flag.lands and flag.name in asked.given:
            _land(tree, flag.lands, _landing(flag, asked.values[flag.name]))
    return documents.take(tree, documents.DocumentPlace("command line"))


def _landing(flag: flags.Flag, value: Value) -> Any:
    """The value as the config has it: subnets are a mapping there, lists are lists."""
    if isinstance(value, tuple):
        if flag.lands.startswith("vpc.subnets."):
            return {subnet: {"id": subnet} for subnet in value}
        return list(value)
    return value


def _land(tree: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a path such as `managedNodeGroups[0].minSize`; lists have one member here."""
    *above, last = path.split(".")
    for part in above:
        name = part.removesuffix("[0]")
        inner = tree.setdefault(name, [{}] if name != part else {})
        tree = inner[0] if isinstance(inner, list) else inner
    tree[last] = value
