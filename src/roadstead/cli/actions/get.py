"""`get cluster|nodegroup`, `utils describe-cluster-versions`: ask and print. Columns, keys and words are eksctl's (its
pkg/ctl/get and pkg/ctl/utils)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from roadstead.cli import asked, service, show
from roadstead.cli.actions import reach
from roadstead.core import errors, terminal
from roadstead.wire import client, services, shapes

_MADE_BY = "alpha.eksctl.io/cluster-name"
"""The tag of clusters that `create cluster` made, eksctl's or ours."""


def clusters(call: asked.FlagValues) -> None:
    """`get cluster`: one by its name, with all columns, or all of the region."""
    name = call.file_name or call.text("name") or call.name
    with reach.connection(call) as api:
        if name:
            found = cluster(api, name)
            columns, data = cluster_columns(found), [show.go_shaped(_cluster_shape(), found)]
            if call.text("output") == "table":
                show.Log(call.number("verbose") or 0, to_error=True).line(_support(api, found))
        else:
            data = summaries(api, call.number("chunk-size") or 0)
            columns = {
                "NAME": [each["Name"] for each in data],
                "REGION": [each["Region"] for each in data],
                "EKSCTL CREATED": [each["Owned"] for each in data],
            }
    if not data and call.text("output") == "table":
        terminal.out("No clusters found")
        return
    printed(call, columns, data)


def cluster(api: service.Api, name: str) -> dict[str, Any]:
    """A cluster as DescribeCluster tells it. Raises NotFound in eksctl's words."""
    try:
        found: dict[str, Any] = api.call("eks", "DescribeCluster", name=name)["cluster"]
    except client.ServiceError as error:
        raise failed(f'unable to describe control plane "{name}"', error) from error
    return found


def summaries(api: service.Api, chunk: int) -> list[dict[str, str]]:
    """Rows of eksctl's list: `Name`, `Region`, `Owned`. `chunk`: names in one page; 0: as many as EKS gives."""
    names = [
        name
        for page in service.pages(
            api, "eks", "ListClusters", include=["all"], **({"maxResults": min(chunk, 100)} if chunk > 0 else {})
        )
        for name in page.get("clusters", [])
    ]
    return [{"Name": name, "Region": api.region, "Owned": _owned(api, name)} for name in names]


def _owned(api: service.Api, name: str) -> str:
    try:
        tags = api.call("eks", "DescribeCluster", name=name)["cluster"].get("tags", {})
    except client.ServiceError:
        # Deleted since it was listed, or not ours to see: eksctl says Unknown when it cannot tell.
        return "Unknown"
    return "True" if _MADE_BY in tags else "False"


def cluster_columns(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """One row, with `-` for what EKS does not say. `found`: the model's Cluster."""
    vpc = found.get("resourcesVpcConfig", {})
    created = found.get("createdAt")
    return {
        "NAME": [found.get("name", "-")],
        "VERSION": [found.get("version", "-")],
        "STATUS": [found.get("status", "-")],
        "CREATED": [show.moment(created) if created is not None else "-"],
        "VPC": [vpc.get("vpcId", "-")],
        "SUBNETS": [_joined(vpc.get("subnetIds"))],
        "SECURITYGROUPS": [_joined(vpc.get("securityGroupIds"))],
        "PROVIDER": [found.get("connectorConfig", {}).get("provider", "EKS")],
    }


def versions(call: asked.FlagValues) -> None:
    """`utils describe-cluster-versions`: as JSON whatever is asked for, as eksctl does."""
    asks: dict[str, Any] = {
        "clusterType": call.text("cluster-types"),
        "clusterVersions": list(call.texts("cluster-versions")),
        "versionStatus": call.text("status"),
        "includeAll": call.truth("include-all"),
        "defaultOnly": call.truth("default-only"),
    }
    given = {name: value for name, value in asks.items() if value}
    with reach.connection(call) as api:
        found = [
            each
            for page in service.pages(api, "eks", "DescribeClusterVersions", **given)
            for each in page.get("clusterVersions", [])
        ]
    shape = services.load("eks").shape("ClusterVersionInformation")
    terminal.out(show.document({"clusterVersions": [show.go_shaped(shape, each) for each in found]}, "json"))


def _support(api: service.Api, found: Mapping[str, Any]) -> str:
    """When the support ends of what a cluster runs, and what is done then. `found`: the model's Cluster."""
    minor, policy = found.get("version", ""), found.get("upgradePolicy", {}).get("supportType", "EXTENDED")
    told = api.call("eks", "DescribeClusterVersions", clusterVersions=[minor]).get("clusterVersions", [])
    if not told:
        return f"Kubernetes {minor} is not offered here"
    standard, extended = (f"{told[0][f'endOf{kind}SupportDate']:%Y-%m-%d}" for kind in ("Standard", "Extended"))
    return (
        f"Kubernetes {minor} has standard support until {standard}, and extended support until {extended}; by its "
        f"supportType {policy} the cluster is updated on {standard if policy == 'STANDARD' else extended} to the next "
        "version, if there is one"
    )


def _joined(names: Sequence[str] | None) -> str:
    return "-" if names is None else ",".join(sorted(set(names)))


def _cluster_shape() -> shapes.Shape:
    return services.load("eks").shape("Cluster")


def nodegroups(call: asked.FlagValues) -> None:
    """`get nodegroup`: one by its name, or all of a cluster. Raises NotFound where a table would be empty."""
    of = call.file_name or call.text("cluster")
    if not of:
        raise errors.Invalid("--cluster must be set")
    name = call.text("name") or call.name
    with reach.connection(call) as api:
        data = [summary(each) for each in described(api, of, [name] if name else None)]
    if not data and call.text("output") == "table":
        raise errors.NotFound("No nodegroups found")
    columns = {
        "CLUSTER": "Cluster",
        "NODEGROUP": "Name",
        "STATUS": "Status",
        "CREATED": "CreationTime",
        "MIN SIZE": "MinSize",
        "MAX SIZE": "MaxSize",
        "DESIRED CAPACITY": "DesiredCapacity",
        "INSTANCE TYPE": "InstanceType",
        "IMAGE ID": "ImageID",
        "ASG NAME": "AutoScalingGroupName",
        "TYPE": "Type",
    }
    printed(call, {column: [str(each[key]) for each in data] for column, key in columns.items()}, data)


def described(api: service.Api, of: str, names: Sequence[str] | None) -> list[dict[str, Any]]:
    """Nodegroups as DescribeNodegroup tells them: those named, or all. Raises NotFound in eksctl's words."""
    try:
        if names is None:
            names = [
                name
                for page in service.pages(api, "eks", "ListNodegroups", clusterName=of)
                for name in page.get("nodegroups", [])
            ]
    except client.ServiceError as error:
        raise failed("unable to describe cluster control plane", error) from error
    try:
        return [api.call("eks", "DescribeNodegroup", clusterName=of, nodegroupName=name)["nodegroup"] for name in names]
    except client.ServiceError as error:
        raise failed(f'unable to describe nodegroups of cluster "{of}"', error) from error


def summary(found: Mapping[str, Any]) -> dict[str, Any]:
    """eksctl's Summary of a managed nodegroup (its pkg/actions/nodegroup/get.go)."""
    sizes = found.get("scalingConfig", {})
    groups = found.get("resources", {}).get("autoScalingGroups", [])
    created = found.get("createdAt") or dt.datetime.fromtimestamp(0, dt.UTC)
    return {
        "StackName": "",
        "Cluster": found.get("clusterName", ""),
        "Name": found.get("nodegroupName", ""),
        "Status": found.get("status", ""),
        "MaxSize": sizes.get("maxSize", 0),
        "MinSize": sizes.get("minSize", 0),
        "DesiredCapacity": sizes.get("desiredSize", 0),
        "InstanceType": ",".join(found.get("instanceTypes", [])) or "-",
        "ImageID": found.get("amiType", ""),
        "CreationTime": show.moment(created),
        "NodeInstanceRoleARN": found.get("nodeRole", ""),
        "AutoScalingGroupName": ",".join(group.get("name", "") for group in groups),
        "Version": found.get("version", ""),
        "Type": "managed",
    }


def failed(what: str, error: client.ServiceError) -> errors.Error:
    """The service's error behind what was tried, as eksctl chains them; NotFound stays NotFound."""
    kind = errors.NotFound if error.fault.status == 404 else errors.Failed
    return kind(f"{what}: {error.fault.code}: {error.fault.message}", code=error.fault.code)


def printed(call: asked.FlagValues, columns: Mapping[str, Sequence[str]], data: Any) -> None:
    """By `--output`: the columns as a table, or the data as JSON or YAML."""
    form = call.text("output") or "table"
    if form == "table":
        terminal.out(show.table(columns), end="")
    else:
        terminal.out(show.document(data, form), end="\n" if form == "json" else "")
