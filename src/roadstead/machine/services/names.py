"""The agent's ids of clusters and of their hosts, by what people call them.

serve keeps the ids of all clusters in a file of its state. A host is `CLUSTER.etcd-a` with the cluster's name or its
id; a node is what `kubectl get nodes` calls it, or the first word of that, behind its cluster where two have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from roadstead.contract import naming, programs
from roadstead.core import errors, instance, terminal
from roadstead.core.files import left
from roadstead.machine.supervision import tree

_LARGEST = 1 << 20
_Named = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9-]{1,32}/[0-9A-Za-z][0-9A-Za-z_-]{0,99}\Z")]
_Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9-]{1,32}\Z")]


def ids(places: instance.Instance) -> dict[str, str]:
    """By `REGION/NAME`. Raises NotFound when serve never wrote them, Failed for what it cannot have written."""
    try:
        return left.decode(tree.serve_state(places) / programs.CLUSTERS, _LARGEST, dict[_Named, _Id])
    except errors.NotFound as error:
        raise errors.NotFound(
            "there are no clusters on this machine yet: `roadstead create cluster` makes one"
        ) from error


def cluster_id(clusters: Mapping[str, str], name: str, region: str | None) -> str:
    """The id of a cluster by its name. Raises NotFound, or Invalid when its region must be said."""
    found = {key.partition("/")[0]: id for key, id in clusters.items() if key.partition("/")[2] == name}
    if region is not None:
        found = {where: id for where, id in found.items() if where == region}
    if not found:
        where = "" if region is None else f" in {region}"
        raise errors.NotFound(f"no cluster is called {name}{where}: `roadstead get cluster` lists them", cluster=name)
    if len(found) > 1:
        raise errors.Invalid(f"clusters called {name} are in {', '.join(sorted(found))}: say which with --region")
    return next(iter(found.values()))


def known(places: instance.Instance) -> Mapping[str, str]:
    """`ids`, as far as they are known: none where serve never wrote them, or, with a warning, something else."""
    try:
        return ids(places)
    except errors.NotFound:
        return {}
    except errors.Failed as error:
        terminal.err(f"warning: {error}")
        return {}


def host(asked: str, clusters: Mapping[str, str], wanted: Mapping[str, Mapping[str, Any]]) -> str:
    """The id of the host that somebody means. `clusters`: see `ids`; `wanted`: all that the agent is to have.

    Raises NotFound, saying what there is, and Invalid for a name that several have.
    """
    hosts = wanted.get("hosts", {})
    first, _, rest = asked.partition(".")
    named = {id: key for key, id in clusters.items()}
    mine = {id for id, key in named.items() if key.partition("/")[2] == first} | {first}
    own = sorted(id for id in hosts if naming.cluster(id) in mine)
    found = (
        [id for id in hosts if id == asked]
        or [id for id in own if naming.within(id) == rest or _is_node(hosts[id], rest)]
        or sorted(id for id in hosts if _is_node(hosts[id], asked))
    )
    if len(found) == 1:
        return found[0]
    if found:
        told = ", ".join(f"{id} ({named.get(naming.cluster(id), 'of no known cluster')})" for id in found)
        raise errors.Invalid(f"several hosts are called {asked}: say which by its id: {told}", host=asked)
    if own:
        told = ", ".join(dict.fromkeys(naming.within(id) for id in own))
        raise errors.NotFound(f"cluster {first} has no host {rest!r}: it has {told}", host=asked)
    raise errors.NotFound(
        f"no host is called {asked}: write CLUSTER.HOST, as in my-cluster.etcd-a, or a node's name in Kubernetes; "
        "`roadstead status` lists the clusters",
        host=asked,
    )


def _is_node(host: Mapping[str, Any], name: str) -> bool:
    """Whether it is the node of that Kubernetes name, or of its first word: `ip-192-168-0-5`."""
    # A newer release's host may look otherwise: the agent keeps what it does not understand.
    spec = host.get("spec", {})
    own = str(spec.get("hostname", ""))
    # `kind`: as an agent of an earlier release has it.
    return "node" in (spec.get("role"), spec.get("kind")) and name in (own, own.partition(".")[0])
