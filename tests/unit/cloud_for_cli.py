"""A small AWS in memory that the CLI's tests ask: requests and answers go through the wire's codecs and checks."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from roadstead.clusters import versions, views
from roadstead.wire import client, exchange, server, services, validate

CREATED = dt.datetime(2026, 11, 1, 12, 0, tzinfo=dt.UTC)
REGION = "eu-central-1"


def clock(over: Callable[[], bool]) -> SimpleNamespace:
    """Stands for the module `time`: as soon as `over` says so, an hour has gone by. So the deadline of a command ends
    it after so many calls, however long the machine takes for them.
    """
    return SimpleNamespace(sleep=time.sleep, monotonic=lambda: time.monotonic() + (3600.0 if over() else 0.0))


class Refusal(Exception):
    def __init__(self, code: str, message: str) -> None:
        self.fault = exchange.Fault(code, message)


class Cloud:
    """`answer` is the server's side; `call` is that of `cli.service.Api`. `calls` lists what was asked."""

    region = REGION

    def __init__(self) -> None:
        self.models = {name: services.load(name) for name in ("eks", "ec2", "iam", "sts", "roadstead")}
        self.calls: list[str] = []
        self.clusters: dict[str, dict[str, Any]] = {}
        self.nodegroups: dict[tuple[str, str], dict[str, Any]] = {}
        self.vpcs: dict[str, dict[str, Any]] = {}
        self.subnets: dict[str, dict[str, Any]] = {}
        self.roles: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, list[str]] = {}
        self.events: list[dict[str, Any]] = []
        self.insights: list[dict[str, Any]] = []
        self.refreshes: list[str] = []
        """What is said of a refresh from look to look."""
        self.fail_at: str | None = None
        self.fail_with = "ServerException"
        self.room = 1000
        """How many nodes the machine carries beside a control plane."""
        self.day = CREATED.date()
        """By which versions have support."""
        self.looks = 0
        """How often a cluster is seen CREATING before it is ACTIVE; its members are ready one after the other."""
        self.hindered: dict[str, str] = {}
        """Why parts are not ready and never will be, by their names; a nodegroup with such a node is never ACTIVE."""
        self._lock = threading.Lock()

    def call(self, service: str, operation: str, **values: Any) -> dict[str, Any]:
        model = self.models[service]
        known = model.operation(operation)
        return client.parse(model, known, self.answer(service, client.serialize(model, known, values, token="t" * 36)))

    def answer(self, service: str, request: exchange.Request) -> exchange.Response:
        model = self.models[service]
        found = server.match(model, request)
        asked = server.parse_input(found, request)
        assert validate.problems(found.operation.input, asked) == []
        name = found.operation.name
        try:
            with self._lock:
                self.calls.append(name)
                if name == self.fail_at:
                    raise Refusal(self.fail_with, "out of order")
                act: Callable[[dict[str, Any]], dict[str, Any]] = getattr(self, name)
                done = act(asked)
            return server.render_output(model, found.operation, found.protocol, done, "r")
        except Refusal as refused:
            return server.render_error(model, found.protocol, refused.fault, "r")

    def ListClusters(self, asked: dict[str, Any]) -> dict[str, Any]:
        names, size = sorted(self.clusters), asked.get("maxResults", 100)
        at = int(asked.get("nextToken", "0"))
        more = {"nextToken": str(at + size)} if at + size < len(names) else {}
        return {"clusters": names[at : at + size], **more}

    def DescribeCluster(self, asked: dict[str, Any]) -> dict[str, Any]:
        if (found := self.clusters.get(asked["name"])) is None:
            raise Refusal("ResourceNotFoundException", f"No cluster found for name: {asked['name']}.")
        if found["status"] == "DELETING":
            # Seen once more, then gone.
            del self.clusters[asked["name"]]
        if found["status"] == "CREATING":
            self.looks -= 1
            if self.looks < 0:
                found["status"] = "ACTIVE"
        return {"cluster": found}

    def CheckRoom(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["controlPlanes"] == 1
        if asked["nodes"] > self.room:
            raise Refusal("InvalidRequestException", f"Not enough memory: {asked['nodes']} nodes more.")
        return {}

    def ListClusterParts(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["clusterName"]
        if name not in self.clusters:
            raise Refusal("ResourceNotFoundException", f"No cluster found for name: {name}.")
        names = [f"{kind}-{zone}" for kind in ("etcd", "api") for zone in "abc"]
        late = max(self.looks, 0) if self.clusters[name]["status"] == "CREATING" else 0
        states = ["READY"] * (len(names) - late) + ["MAKING"] * late
        members = [
            {"name": part, "state": state, "zone": f"{REGION}{part[-1]}"}
            for part, state in zip(names, states, strict=False)
        ]
        nodes = [
            {"name": f"node-{number + 1}", "nodegroup": group, "zone": f"{REGION}{'abc'[number % 3]}", "state": "READY"}
            for (of, group), made in self.nodegroups.items()
            if of == name
            for number in range(made["scalingConfig"]["desiredSize"])
        ]
        parts = [*members, *nodes]
        for part in parts:
            if why := self.hindered.get(part["name"]):
                part |= {"state": "MAKING", "reason": why}
        return {"parts": parts}

    def TagResource(self, asked: dict[str, Any]) -> dict[str, Any]:
        (found,) = [each for each in self.nodegroups.values() if each["nodegroupArn"] == asked["resourceArn"]]
        found["tags"] = {**found.get("tags", {}), **asked["tags"]}
        return {}

    def UntagResource(self, asked: dict[str, Any]) -> dict[str, Any]:
        (found,) = [each for each in self.clusters.values() if each["arn"] == asked["resourceArn"]]
        for key in asked["tagKeys"]:
            found["tags"].pop(key, None)
        return {}

    def DescribeClusterVersions(self, asked: dict[str, Any]) -> dict[str, Any]:
        shown = [views.version(each, self.day) for each in reversed(versions.OFFERED)]
        named, status = asked.get("clusterVersions"), asked.get("versionStatus")
        told = [each for each in shown if not named or each["clusterVersion"] in named]
        if not (asked.get("includeAll") or named):
            told = [each for each in told if each["versionStatus"] != "UNSUPPORTED"]
        return {"clusterVersions": [each for each in told if status in (None, each["versionStatus"])]}

    def GetCallerIdentity(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {"Account": "000000000000", "Arn": "arn:aws:iam::000000000000:user/ann", "UserId": "AIDA"}

    def DescribeAvailabilityZones(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {"AvailabilityZones": [{"ZoneName": f"{REGION}{zone}"} for zone in "abc"]}

    def DescribeInstanceTypes(self, asked: dict[str, Any]) -> dict[str, Any]:
        known = {"m5.large": "x86_64", "c5.large": "x86_64", "m6g.large": "arm64"}
        (names,) = [each["Values"] for each in asked["Filters"]]
        return {
            "InstanceTypes": [
                {"InstanceType": name, "ProcessorInfo": {"SupportedArchitectures": [kind]}}
                for name, kind in known.items()
                if name in names
            ]
        }

    def DescribeInstances(self, asked: dict[str, Any]) -> dict[str, Any]:
        filters = {each["Name"]: each["Values"][0] for each in asked["Filters"]}
        group = self.nodegroups[filters["tag:eks:cluster-name"], filters["tag:eks:nodegroup-name"]]
        nodes = [
            {"InstanceId": f"i-{number}", "PrivateDnsName": f"ip-192-168-0-{number}.{REGION}.compute.internal"}
            for number in range(group["scalingConfig"]["desiredSize"])
        ]
        return {"Reservations": [{"ReservationId": "r-1", "Instances": nodes}]}

    def CreateCluster(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["name"]
        if name in self.clusters:
            raise Refusal("ResourceInUseException", f"Cluster already exists with name: {name}")
        kept = {key: value for key, value in asked.items() if key in self.models["eks"].shape("Cluster").members}
        vpc = {**asked["resourcesVpcConfig"], "vpcId": "vpc-0"}
        arn = f"arn:aws:eks:{REGION}:000000000000:cluster/{name}"
        self.clusters[name] = {
            **kept,
            "arn": arn,
            "status": "CREATING" if self.looks else "ACTIVE",
            "endpoint": "https://127.0.0.1:30001",
            "certificateAuthority": {"data": "Q0E="},
            "createdAt": CREATED,
            "resourcesVpcConfig": vpc,
        }
        return {"cluster": self.clusters[name]}

    def DeleteCluster(self, asked: dict[str, Any]) -> dict[str, Any]:
        if any(of == asked["name"] for of, _ in self.nodegroups):
            raise Refusal("ResourceInUseException", "Cluster has nodegroups attached")
        self.clusters[asked["name"]]["status"] = "DELETING"
        return {"cluster": self.clusters[asked["name"]]}

    def ListNodegroups(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.DescribeCluster({"name": asked["clusterName"]})
        return {"nodegroups": [name for of, name in self.nodegroups if of == asked["clusterName"]]}

    def DescribeNodegroup(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["nodegroupName"]
        if (found := self.nodegroups.get((asked["clusterName"], name))) is None:
            raise Refusal("ResourceNotFoundException", f"No node group found for name: {name}.")
        if found["status"] == "DELETING":
            del self.nodegroups[asked["clusterName"], name]
        return {"nodegroup": found}

    def CreateNodegroup(self, asked: dict[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in asked.items() if key in self.models["eks"].shape("Nodegroup").members}
        arn = f"arn:aws:eks:{REGION}:000000000000:nodegroup/{asked['clusterName']}/{asked['nodegroupName']}/0"
        status = "CREATING" if any(name.startswith("node-") for name in self.hindered) else "ACTIVE"
        always = {"status": status, "createdAt": CREATED, "amiType": "AL2023_x86_64_STANDARD", "nodegroupArn": arn}
        made = {**kept, **always}
        self.nodegroups[asked["clusterName"], asked["nodegroupName"]] = made
        return {"nodegroup": made}

    def DeleteNodegroup(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self.DescribeNodegroup(asked)
        found["nodegroup"]["status"] = "DELETING"
        return found

    def UpdateNodegroupConfig(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.DescribeNodegroup(asked)["nodegroup"]["scalingConfig"].update(asked["scalingConfig"])
        return {"update": {"id": "u-1", "status": "InProgress"}}

    def DescribeUpdate(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"update": {"id": asked["updateId"], "status": "Successful"}}

    def ListEvents(self, asked: dict[str, Any]) -> dict[str, Any]:
        of, since, severity = asked.get("resourceArn"), asked.get("startTime"), asked.get("severity")
        return {
            "events": [
                event
                for event in self.events
                if of in (None, event["resourceArn"])
                and severity in (None, event["severity"])
                and (since is None or event["time"] >= since)
            ]
        }

    def ListInsights(self, asked: dict[str, Any]) -> dict[str, Any]:
        wanted = asked.get("filter", {}).get("statuses")
        return {"insights": [each for each in self.insights if wanted in (None, [each["insightStatus"]["status"]])]}

    def DescribeInsight(self, asked: dict[str, Any]) -> dict[str, Any]:
        (found,) = [each for each in self.insights if each["id"] == asked["id"]]
        return {"insight": {**found, "recommendation": "r"}}

    def StartInsightsRefresh(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {"status": "IN_PROGRESS", "message": "it is begun"}

    def DescribeInsightsRefresh(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        status = self.refreshes.pop(0)
        return {"status": status, "message": f"it is {status}"}

    def CreateVpc(self, asked: dict[str, Any]) -> dict[str, Any]:
        made = {"VpcId": f"vpc-{len(self.vpcs)}", "CidrBlock": asked["CidrBlock"], "Tags": _tags(asked)}
        self.vpcs[made["VpcId"]] = made
        return {"Vpc": made}

    def CreateSubnet(self, asked: dict[str, Any]) -> dict[str, Any]:
        made = {
            "SubnetId": f"subnet-{len(self.subnets)}",
            **{key: asked[key] for key in ("VpcId", "CidrBlock", "AvailabilityZone")},
            "Tags": _tags(asked),
        }
        self.subnets[made["SubnetId"]] = made
        return {"Subnet": made}

    def ModifySubnetAttribute(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.subnets[asked["SubnetId"]]["MapPublicIpOnLaunch"] = asked["MapPublicIpOnLaunch"]["Value"]
        return {}

    def DescribeVpcs(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"Vpcs": [each for each in self.vpcs.values() if _fits(each, asked)]}

    def DescribeSubnets(self, asked: dict[str, Any]) -> dict[str, Any]:
        ids = asked.get("SubnetIds")
        return {
            "Subnets": [
                each
                for each in self.subnets.values()
                if _fits(each, asked) and (ids is None or each["SubnetId"] in ids)
            ]
        }

    def DeleteSubnet(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self.clusters == {}, "a cluster holds its subnets"
        del self.subnets[asked["SubnetId"]]
        return {}

    def DeleteVpc(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert not [each for each in self.subnets.values() if each["VpcId"] == asked["VpcId"]]
        del self.vpcs[asked["VpcId"]]
        return {}

    def GetRole(self, asked: dict[str, Any]) -> dict[str, Any]:
        if (found := self.roles.get(asked["RoleName"])) is None:
            raise Refusal("NoSuchEntityException", f"The role with name {asked['RoleName']} cannot be found.")
        return {"Role": found}

    def CreateRole(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["RoleName"]
        arn = f"arn:aws:iam::000000000000:role/{name}"
        if name in self.roles:
            raise Refusal("EntityAlreadyExists", f"Role with name {name} already exists.")
        made = {"RoleName": name, "Arn": arn, "Path": "/", "RoleId": "AROA", "CreateDate": CREATED}
        self.roles[name] = {**made, "Tags": asked.get("Tags", [])}
        self.policies[name] = []
        return {"Role": self.roles[name]}

    def AttachRolePolicy(self, asked: dict[str, Any]) -> dict[str, Any]:
        attached = self.policies[asked["RoleName"]]
        if asked["PolicyArn"] not in attached:
            attached.append(asked["PolicyArn"])
        return {}

    def ListAttachedRolePolicies(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"AttachedPolicies": [{"PolicyArn": arn} for arn in self.policies[asked["RoleName"]]]}

    def DetachRolePolicy(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.policies[asked["RoleName"]].remove(asked["PolicyArn"])
        return {}

    def DeleteRole(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self.policies.pop(asked["RoleName"]) == []
        del self.roles[asked["RoleName"]]
        return {}


def _tags(asked: dict[str, Any]) -> list[dict[str, str]]:
    return [tag for each in asked.get("TagSpecifications", []) for tag in each["Tags"]]


def _fits(thing: dict[str, Any], asked: dict[str, Any]) -> bool:
    tags = {f"tag:{tag['Key']}": tag["Value"] for tag in thing["Tags"]}
    return all(tags.get(each["Name"]) in each["Values"] for each in asked.get("Filters", []))
