"""Storage classes by EKS's names, and the provisioner behind them.

A volume is a folder on the disk of the node that its first pod got, as a PersistentVolume of type local. Its affinity
names node and zone, so that its pod always comes back to its data. What such a volume does not have: its size is kept
and shown, and not enforced; it does not leave its node; it cannot grow, and it knows no snapshots. ReadWriteMany is
refused with an event of the claim.

The provisioner calls itself `ebs.csi.aws.com`, and answers to `kubernetes.io/aws-ebs` too, so that users' own classes
work. There is no CSIDriver object: no volume says that it is one of a CSI driver.
"""

from __future__ import annotations

from roadstead.contract import kubernetes
from roadstead.controllers.runtime import facts
from roadstead.controllers.system import parts
from roadstead.engine import images
from roadstead.kube.resources import Json

NAME = "volume-provisioner"
PROVISIONER = "ebs.csi.aws.com"
IN_TREE = "kubernetes.io/aws-ebs"
FOLDER = "/var/lib/roadstead-volumes"
"""On every node, below /var: a node's disk."""
DEFAULT = "gp3"

_LABELS = {"app.kubernetes.io/name": NAME}


def objects(of: facts.SystemFacts) -> tuple[Json, ...]:
    """The classes gp3 (the default) and gp2, and the provisioner with its rights."""
    return (
        storage_class("gp3"),
        storage_class("gp2"),
        parts.account(NAME, _LABELS),
        *_rights(),
        _deployment(of.images.provisioner),
    )


def storage_class(kind: str) -> Json:
    """A class of that name and EBS volume type."""
    metadata = parts.named(kind, {}, namespaced=False)
    metadata["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true" if kind == DEFAULT else "false"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": metadata,
        "provisioner": PROVISIONER,
        "parameters": {"type": kind, "csi.storage.k8s.io/fstype": "ext4"},
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": False,
    }


def _rights() -> tuple[Json, ...]:
    """Pods and leases only in the system's namespace."""
    name = f"{kubernetes.OURS}{NAME}"
    return (
        parts.role(
            name,
            _LABELS,
            parts.allow("get list watch create update patch delete", "persistentvolumes"),
            parts.allow("get list watch update patch", "persistentvolumeclaims"),
            parts.allow("get list watch", "nodes"),
            parts.allow("create update patch", "events"),
            parts.allow("get list watch", "storageclasses", "storage.k8s.io"),
        ),
        parts.binding(name, _LABELS, NAME),
        parts.role(
            name,
            _LABELS,
            parts.allow("get list watch create delete", "pods"),
            parts.allow("get create update", "leases", "coordination.k8s.io"),
            namespaced=True,
        ),
        parts.binding(name, _LABELS, NAME, namespaced=True),
    )


def _deployment(image: str) -> Json:
    """One pod; the lease sees to it that there are never two at work."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": parts.named(NAME, _LABELS),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": _LABELS},
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": {"labels": _LABELS},
                "spec": {
                    "serviceAccountName": NAME,
                    "priorityClassName": "system-cluster-critical",
                    "terminationGracePeriodSeconds": 5,
                    "tolerations": list(parts.TOLERATIONS),
                    "containers": [_container(image)],
                },
            },
        },
    }


def _container(image: str) -> Json:
    return {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            f"--name={PROVISIONER}",
            f"--also={IN_TREE}",
            f"--namespace={parts.NAMESPACE}",
            f"--helper-image={image}",
            f"--folder={FOLDER}",
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": parts.confined(runAsNonRoot=True, runAsUser=images.NOBODY),
    }
