"""What is shown: a desired state and its observation in the shapes of EKS's model. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from roadstead.clusters import lifecycles, nodegroups, observed, spec, versions
from roadstead.clusters.allocation import names
from roadstead.clusters.components.control import issuer, settings
from roadstead.core import ids
from roadstead.network import defaults
from roadstead.store import facts, operations

_UNWELL = (observed.Phase.FAILING, observed.Phase.REFUSED)


def authority_id(desired: facts.Desired) -> str:
    """Of a cluster's certificate authority."""
    return ids.uuid_of(f"authority/{own_name(desired)}")


def own_name(desired: facts.Desired) -> str:
    """What is said of this one alone, and not of one of the same name that is made later."""
    return f"{desired.key}@{desired.created}"


def seen(state: facts.State) -> observed.Observed | None:
    return observed.read(state.observation.body) if state.observation else None


def cluster_status(wanted: spec.Cluster, saw: observed.Observed | None) -> str:
    return observed.status(lifecycles.CLUSTER, saw, wanted.update, wanted.deleting)


def nodegroup_status(wanted: nodegroups.Nodegroup, saw: observed.Observed | None) -> str:
    return observed.status(lifecycles.NODEGROUP, saw, wanted.update, wanted.deleting)


def version_shown(wanted: str, saw: observed.Observed | None) -> str:
    """The minor that it runs: the wanted one only from when all of it does."""
    return saw.release.rpartition(".")[0] if saw and saw.release else wanted


def cluster(state: facts.State) -> dict[str, Any]:
    """The model's Cluster."""
    wanted, saw = spec.read(state.desired.body), seen(state)
    minor = version_shown(wanted.version, saw)
    shown: dict[str, Any] = {
        "name": wanted.name,
        "arn": spec.CLUSTERS.arn_of(state.desired),
        "createdAt": moment(wanted.created_at),
        "version": minor,
        "platformVersion": versions.find(minor).platform,
        "status": cluster_status(wanted, saw),
        "roleArn": wanted.role,
        "resourcesVpcConfig": _vpc_config(wanted, defaults.cluster_group_id(own_name(state.desired))),
        "kubernetesNetworkConfig": {
            "serviceIpv4Cidr": wanted.service_cidr,
            "ipFamily": "ipv4",
            "elasticLoadBalancing": {"enabled": False},
        },
        # EKS Auto Mode is off in all of its parts: eksctl follows these pointers without asking.
        "computeConfig": {"enabled": False, "nodePools": []},
        "storageConfig": {"blockStorage": {"enabled": False}},
        "identity": {"oidc": {"issuer": issuer.url(state.key.region, names.cluster(state.key, state.desired.created))}},
        "logging": {"clusterLogging": _logging(wanted.logs)},
        "accessConfig": {
            "authenticationMode": wanted.access.mode,
            "bootstrapClusterCreatorAdminPermissions": wanted.access.creator_is_admin,
        },
        "upgradePolicy": {"supportType": wanted.support},
        "zonalShiftConfig": {"enabled": wanted.zonal_shift},
        "controlPlaneScalingConfig": {"tier": wanted.tier},
        "deletionProtection": wanted.deletion_protection,
        "tags": dict(wanted.tags),
        "health": {"issues": _issues(saw, "InternalFailure", "ResourceLimitExceeded")},
    }
    if saw and saw.endpoint:
        shown["endpoint"] = saw.endpoint
    # Clients read what is inside without asking whether there is anything.
    shown["certificateAuthority"] = {"data": saw.authority} if saw and saw.authority else {}
    return shown


def nodegroup(state: facts.State) -> dict[str, Any]:
    """The model's Nodegroup."""
    wanted, saw = nodegroups.read(state.desired.body), seen(state)
    minor = version_shown(wanted.version, saw)
    return {
        "nodegroupName": wanted.name,
        "nodegroupArn": nodegroups.NODEGROUPS.arn_of(state.desired),
        "clusterName": wanted.cluster,
        "version": minor,
        "releaseVersion": versions.find(minor).node_release,
        "createdAt": moment(wanted.created_at),
        "modifiedAt": moment(wanted.modified_at),
        "status": nodegroup_status(wanted, saw),
        "capacityType": wanted.capacity,
        "scalingConfig": {
            "minSize": wanted.scaling.minimum,
            "maxSize": wanted.scaling.maximum,
            "desiredSize": wanted.scaling.desired,
        },
        "instanceTypes": list(wanted.types),
        "subnets": list(wanted.subnets),
        "amiType": wanted.image,
        "nodeRole": wanted.role,
        "labels": dict(wanted.labels),
        "taints": [_taint(taint) for taint in wanted.taints],
        "diskSize": wanted.disk,
        # Nodes are in no Auto Scaling group, and nobody comes in by SSH.
        "resources": {"autoScalingGroups": []},
        "health": {"issues": _issues(saw, "NodeCreationFailure", "LimitExceeded")},
        "updateConfig": dict(wanted.update_config),
        "nodeRepairConfig": dict(wanted.repair),
        "tags": dict(wanted.tags),
    }


def update(shown: operations.Operation) -> dict[str, Any]:
    """The model's Update."""
    problem = {"errorCode": "OperationNotPermitted", "errorMessage": shown.problem}
    return {
        "id": shown.id,
        "status": shown.status,
        "type": shown.type,
        "params": [{"type": type, "value": value} for type, value in shown.parameters],
        "createdAt": moment(shown.created_at),
        "errors": [problem] if shown.problem else [],
    }


def version(offered: versions.Version, day: dt.date) -> dict[str, Any]:
    """The model's ClusterVersionInformation, on a day."""
    support = offered.support(day)
    return {
        "clusterVersion": offered.minor,
        "clusterType": "eks",
        "defaultPlatformVersion": offered.platform,
        "defaultVersion": offered.minor == versions.DEFAULT,
        "releaseDate": _midnight(offered.released),
        "endOfStandardSupportDate": _midnight(offered.standard_until),
        "endOfExtendedSupportDate": _midnight(offered.extended_until),
        "status": support.deprecated,
        "versionStatus": support.value,
        "kubernetesPatchVersion": offered.patch,
        # There are no provisioned tiers: each control plane has what its machine has.
        "controlPlaneScalingTiers": [],
        "controlPlaneComponentConfig": settings.shown(),
    }


def moment(at: float) -> dt.datetime:
    """Seconds since 1970 as a time in UTC."""
    return dt.datetime.fromtimestamp(at, dt.UTC)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def _vpc_config(wanted: spec.Cluster, group: str) -> dict[str, Any]:
    return {
        "subnetIds": list(wanted.place.subnets),
        "securityGroupIds": list(wanted.security_groups),
        "clusterSecurityGroupId": group,
        "vpcId": wanted.place.vpc,
        "endpointPublicAccess": wanted.access.public,
        "endpointPrivateAccess": wanted.access.private,
        "publicAccessCidrs": list(wanted.access.public_cidrs),
        "controlPlaneEgressMode": "AWS_MANAGED",
    }


def _logging(on: tuple[str, ...]) -> list[dict[str, Any]]:
    off = [name for name in spec.LOG_TYPES if name not in on]
    groups = [{"types": list(on), "enabled": True}, {"types": off, "enabled": False}]
    return [group for group in groups if group["types"]]


def _taint(taint: nodegroups.Taint) -> Mapping[str, str]:
    return {"key": taint.key, "effect": taint.effect, **({"value": taint.value} if taint.value else {})}


def _issues(saw: observed.Observed | None, code: str, limit: str) -> list[dict[str, Any]]:
    """What fails or is refused, what has not been ready for long whatever the reason, and what is near its end.

    `code` is EKS's for the first two, `limit` for the last.
    """
    parts = saw.parts if saw else ()
    unwell = [part for part in parts if part.phase in _UNWELL or (part.trouble and part.trouble.lasts)]
    near = [(part.name, said) for part in parts for said in part.warnings]
    return [
        *(
            {"code": code, "message": f"{part.name}: {part.reason or part.phase.value}", "resourceIds": [part.name]}
            for part in unwell
        ),
        *({"code": limit, "message": f"{name} {said}", "resourceIds": [name]} for name, said in near),
        *({"code": limit, "message": said, "resourceIds": []} for said in (saw.warnings if saw else ())),
    ]
