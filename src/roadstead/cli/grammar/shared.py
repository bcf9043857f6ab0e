"""Flags that many commands have."""

from __future__ import annotations

from dataclasses import replace

from roadstead.cli.grammar import flags
from roadstead.cli.grammar.flags import Flag

REGION = Flag(
    "region",
    "the region; else the environment's, else the profile's",
    short="r",
    lands="metadata.region",
    with_file="never",
)
CONFIG_FILE = Flag("config-file", "read a ClusterConfig from this file, or from standard input for `-`", short="f")
CLUSTER = Flag("cluster", "the cluster's name", short="c", lands="metadata.name", with_file="never")
CLUSTER_NAME = Flag("name", "the cluster's name", short="n", lands="metadata.name", with_file="never")
TIMEOUT = Flag("timeout", "the longest wait", kind="duration", default="25m0s", one_off=True)
WAIT = Flag("wait", "wait until it is done", kind="truth", short="w", default="false")
APPROVE = Flag(
    "approve",
    "do it; with a config file only the plan is shown otherwise",
    kind="truth",
    default="false",
)
OUTPUT = Flag("output", "how to print", short="o", default="table", choices=("table", "json", "yaml"))
CHUNK_SIZE = Flag("chunk-size", "how many to ask for at once; 0 for as many as the service gives", "integer", "", "100")

GET = (
    REGION,
    CHUNK_SIZE,
    OUTPUT,
    TIMEOUT,
    CONFIG_FILE,
)

PROFILE = Flag(
    "profile",
    "the profile of the AWS config; else AWS_PROFILE",
    short="p",
    one_off=True,
    why="without it the profile `roadstead` is taken, unless the environment says both endpoint and keys",
    group="AWS client",
)
_NO_STACKS = "Roadstead makes no CloudFormation stacks; the parts are made directly"
STACKS = flags.grouped(
    "AWS client",
    flags.noted(Flag("cfn-role-arn", "a role for CloudFormation to act with", one_off=True), _NO_STACKS),
    flags.noted(
        Flag("cfn-disable-rollback", "leave a failed stack as it is", kind="truth", default="false", one_off=True),
        _NO_STACKS,
    ),
)

EVERYWHERE = flags.grouped(
    "Every command",
    Flag(
        "verbose",
        "how much is told: 0 nothing, 3 what happens, 4 requests",
        kind="integer",
        short="v",
        default="3",
    ),
    flags.noted(
        Flag("color", "colours in what is told", short="C", default="true", choices=("true", "false", "fabulous")),
        "Roadstead's lines have no colours",
    ),
    flags.noted(
        Flag("dumpLogs", "write the log to a file when the command fails", kind="truth", short="d", default="false"),
        "all that is known of a failure is in its message",
    ),
)

FILTERS = (
    Flag("include", "only nodegroups of the file that match one of these globs", kind="list", with_file="only"),
    Flag("exclude", "not the nodegroups of the file that match one of these globs", kind="list", with_file="only"),
    Flag("only", "an old name of --include", kind="list", with_file="only"),
)


def parallel_drain(why: str) -> tuple[Flag, ...]:
    """The flags of how nodes are drained, which have no effect, and why not."""
    return (
        flags.noted(
            Flag("pod-eviction-wait-period", "the pause after a refused eviction", kind="duration", default="10s"), why
        ),
        flags.noted(Flag("parallel", "how many nodes to drain at once", kind="integer", default="1"), why),
    )


_DRAINS = "the service drains the nodes itself, side by side, for up to 15 minutes"
DRAIN = (
    Flag(
        "drain",
        "wait until the nodes' pods have moved",
        kind="truth",
        default="true",
        why="with `=false` they end at once, budgets or not",
    ),
    flags.noted(
        Flag("max-grace-period", "the longest that pods may take to end", kind="duration", default="10m"), _DRAINS
    ),
    flags.noted(
        Flag("disable-eviction", "delete pods instead of evicting them", kind="truth", default="false"), _DRAINS
    ),
    *parallel_drain(_DRAINS),
)


def required(flag: Flag) -> Flag:
    """The same flag, saying that there must be one."""
    return replace(flag, means=f"{flag.means} (needed, here or as the argument)")
