"""What `create cluster` does, step by step: look, refuse, make the parts, ask for the cluster, ask for its nodes.

Until the cluster is asked for, what goes wrong is taken back, and nothing is left of the call. From then on the work
is the service's: it goes on when the command is cut off, and the same command goes on with it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from roadstead.cli import config, defaults, service
from roadstead.cli.actions import get, nodegroups
from roadstead.cli.infrastructure import bodies, lookups, make, parts, refusals, together
from roadstead.cli.live import follow, progress, warnings
from roadstead.core import errors
from roadstead.wire import client

_REFUSED = range(400, 500)
_THERE = ("ACTIVE", "UPDATING")


@dataclass
class Building:
    """One call of `create cluster`. `given_names`: nodegroups have the names that the user gave them."""

    api: service.Api
    stage: follow.Stage
    wanted: config.ClusterConfig
    given_names: bool = True
    ledger: make.Ledger = field(default_factory=make.Ledger)
    ready: make.Ready | None = None
    asked: bool = False
    """The cluster is: by this call, or by one before it."""
    nodes_asked: bool = False

    @property
    def metadata(self) -> config.Metadata:
        return self.wanted.metadata or config.Metadata()

    @property
    def name(self) -> str:
        """Empty where the config has none, which is refused before anything is asked for."""
        return self.metadata.name or ""

    @property
    def groups(self) -> tuple[config.ManagedNodeGroup, ...]:
        return self.wanted.managed_node_groups or ()

    def begin(self) -> None:
        """Until the cluster is asked for. Raises Invalid, AlreadyExists, Conflict, or client.ServiceError."""
        asks: tuple[Callable[[], Any], ...] = (
            functools.partial(lookups.cluster, self.api, self.name),
            functools.partial(lookups.infrastructure, self.api, self.name),
            functools.partial(lookups.offers, self.api, self.groups),
            self._given_subnets,
        )
        there, infrastructure, offers, given = together.together(*asks)
        refusals.check(self.wanted, offers)
        refusals.check_name(self.name, there)
        if there is not None:
            self._go_on(there)
            given = lookups.subnets(self.api, there["resourcesVpcConfig"]["subnetIds"])
        else:
            refusals.check_vpc(self.wanted, infrastructure)
            refusals.check_room(self.api, self.wanted)
            self._announce()
        try:
            self._parts(infrastructure, given)
            if there is None:
                self._ask()
        except client.ServiceError as error:
            if error.fault.status in _REFUSED and not self.asked:
                self._take_back(keep_roles=error.fault.code == "ResourceInUseException")
            raise

    def until_active(self) -> dict[str, Any]:
        """The cluster as DescribeCluster tells it, when it is ACTIVE. Raises Failed or Busy."""
        self.stage.log.line(f'waiting for cluster "{self.name}" to become active')
        seen = self.stage.until(
            functools.partial(follow.look, self.api, self.name, ()),
            progress.creating,
            lambda seen: seen.cluster in (*_THERE, "DELETING", None),
            f'cluster "{self.name}"',
        )
        if seen.cluster not in _THERE:
            raise errors.Failed(f'cluster "{self.name}" was deleted while it was made')
        return get.cluster(self.api, self.name)

    def ask_for_nodes(self) -> None:
        """CreateNodegroup for those that are not there yet. Raises client.ServiceError."""
        assert self.ready is not None
        shared = self.ready.roles.get(parts.node_role(self.name, self.api.region).name, "")
        absent = [group for group in self.groups if follow.nodegroup(self.api, self.name, group.name or "") is None]
        roles = {group.name or "": nodegroups.given_or(group, shared) for group in absent}
        tagged = [structs.replace(group, tags={**(self.metadata.tags or {}), **(group.tags or {})}) for group in absent]
        nodegroups.ask(self.api, self.name, tagged, roles, self.ready.subnets, self.stage.log)
        self.nodes_asked = True

    def finish(self, there: dict[str, Any]) -> dict[str, list[str]]:
        """Until the nodes are Ready; their names by nodegroup. Then it is done with the cluster."""
        nodes: dict[str, list[str]] = {}
        if self.groups:
            nodegroups.wait(self.api, self.stage, self.name, self.groups)
            nodes = nodegroups.told(self.api, self.name, self.groups, self.stage.log)
            count = len(self.groups)
            self.stage.log.line(f'created {count} managed nodegroup(s) in cluster "{self.name}"', "✔")
        self.api.call("eks", "UntagResource", resourceArn=there["arn"], tagKeys=[parts.UNFINISHED])
        return nodes

    def interrupted(self, by: KeyboardInterrupt) -> None:
        """What becomes of it, when the user wants to wait no longer."""
        log = self.stage.log
        self.stage.screen.close()
        try:
            if isinstance(by, together.Abandoned):
                raise by
            self.asked = self.asked or lookups.cluster(self.api, self.name) is not None
            if not self.asked:
                left = "nothing is left" if self._take_back() else "not all was taken back"
                log.line(f"interrupted: the cluster was not asked for yet, and {left}", "!")
                return
        except (errors.Error, KeyboardInterrupt):
            # The service is away, or the user is in a hurry.
            log.line(f'interrupted: what became of cluster "{self.name}" is not known', "!")
            log.line(f"{self._again_hint()}; {self._back_hint()}")
            return
        log.line(f'interrupted: cluster "{self.name}" goes on being made', "!")
        log.line(nodegroups.watch_hint(self.name, self.api.region))
        later = "" if self.nodes_asked or not self.groups else ", and asks for its nodes: nobody else does"
        log.line(f"{self._again_hint()}{later}")

    def _given_subnets(self) -> dict[str, tuple[str, bool]] | None:
        vpc = self.wanted.vpc or config.Vpc()
        if vpc.subnets is None:
            return None
        public = {each.id for each in (vpc.subnets.public or {}).values()}
        ids = public | {each.id for each in (vpc.subnets.private or {}).values()}
        if None in ids or not ids:
            raise errors.Invalid("vpc.subnets: each subnet needs the id of one that is there")
        there = lookups.subnets(self.api, sorted(id for id in ids if id))
        return {id: (zone, id in public) for id, (zone, _) in there.items()}

    def _announce(self) -> None:
        """What is going to be done, in eksctl's lines."""
        line, region = self.stage.log.line, self.metadata.region
        line(f"using region {region}")
        zones = self.wanted.availability_zones or ()
        if zones:
            line(f"setting availability zones to [{' '.join(zones)}]")
            cidr = (self.wanted.vpc or config.Vpc()).cidr or defaults.CIDR
            cut = parts.subnets(self.name, cidr, zones)
            for public, private in zip(cut[: len(zones)], cut[len(zones) :], strict=True):
                line(f"subnets for {public.zone} - public:{public.cidr} private:{private.cidr}")
        for group in self.groups:
            line(f'nodegroup "{group.name}" will use "" [{group.ami_family}/{self.metadata.version}]')
        line(f"using Kubernetes version {self.metadata.version}")
        line(f'creating EKS cluster "{self.name}" in "{region}" region{" with managed nodes" if self.groups else ""}')
        line(
            "if you encounter any issues, try "
            f"'roadstead get events --region={region} --cluster={self.name}' and 'roadstead status'"
        )
        ends = (self.wanted.vpc or config.Vpc()).cluster_endpoints or config.ClusterEndpoints()
        said = f"publicAccess={str(ends.public_access).lower()}, privateAccess={str(ends.private_access).lower()}"
        line(f'Kubernetes API endpoint access will use {{{said}}} for cluster "{self.name}" in "{region}"')
        groups = "".join(f', create managed nodegroup "{group.name}"' for group in self.groups)
        line(f'{1 + len(self.groups)} sequential tasks: {{ create cluster control plane "{self.name}"{groups} }}')

    def _go_on(self, there: dict[str, Any]) -> None:
        """With what a call before this one has begun."""
        self._asked_for(there)
        self.stage.log.line(
            f'cluster "{self.name}" is {there["status"]} from an earlier call of this command: going on with it'
        )
        if there.get("version") != self.metadata.version:
            self.stage.log.line(f"it keeps version {there.get('version')}, which was asked for then", "!")
        first = there["tags"][parts.UNFINISHED]
        if self.groups and not self.given_names and first:
            groups = (structs.replace(self.groups[0], name=None), *self.groups[1:])
            renamed = defaults.nodegroup(groups[0], self.metadata, first)
            self.wanted = structs.replace(self.wanted, managed_node_groups=(renamed, *groups[1:]))

    def _parts(self, infrastructure: lookups.Infrastructure, given: dict[str, tuple[str, bool]] | None) -> None:
        self.stage.begin("network", "roles")
        self.ready = make.Maker(self.api, self.wanted, infrastructure, self.ledger).everything(given)
        self.stage.end("network", f"{len(self.ready.subnets)} subnets")
        self.stage.end("roles", f"{len(self.ready.roles)} roles" if self.ready.roles else "given")

    def _ask(self) -> None:
        assert self.ready is not None
        iam = self.wanted.iam or config.Iam()
        role = iam.service_role_arn or self.ready.roles[parts.cluster_role(self.name, self.api.region).name]
        body = bodies.cluster(self.wanted, role, list(self.ready.subnets))
        body["tags"] = {**body["tags"], parts.UNFINISHED: (self.groups[0].name or "") if self.groups else ""}
        self.stage.log.line(f'building cluster "{self.name}"')
        (answer,) = together.together(functools.partial(self.api.call, "eks", "CreateCluster", **body))
        self._asked_for(answer["cluster"])

    def _asked_for(self, there: dict[str, Any]) -> None:
        """From now on the work is the service's."""
        self.asked = True
        self.stage.warnings = warnings.Warnings(self.api, there["arn"], there["createdAt"])
        hint = nodegroups.watch_hint(self.name, self.api.region)
        self.stage.goes_on = f"the work goes on: {hint}; {self._again_hint()}"

    def _again_hint(self) -> str:
        return f"the same command with --name={self.name} goes on with it"

    def _back_hint(self) -> str:
        return f"'roadstead delete cluster --force --name={self.name} --region={self.api.region}' takes it back"

    def _take_back(self, *, keep_roles: bool = False) -> bool:
        """Exactly what this call has made; whether all of it is. `keep_roles`: another was quicker, and has them."""
        if keep_roles:
            self.ledger.roles.clear()
        try:
            if self.ledger.take_back(self.api):
                self.stage.log.line(f'what was made for cluster "{self.name}" was taken back', "!")
        except errors.Error as error:
            self.stage.log.line(f"not all could be taken back ({error}): {self._back_hint()}", "!")
            return False
        return True
