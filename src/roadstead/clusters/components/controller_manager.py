"""kube-controller-manager: facts to a unit. Source of the flags: its `--help`, 1.34 to 1.37."""

from __future__ import annotations

from roadstead.clusters.components import apiserver, facts
from roadstead.clusters.components.control import files, leaders
from roadstead.contract.messages import desired

UNIT = "kube-controller-manager"
PORT = 10257


def unit(plane: facts.ControlPlane, letter: str, digests: facts.Digests) -> desired.Unit:
    """One of three, on the host of the API server that it talks to."""
    assert any(each.letter == letter for each in plane.members)

    def file(name: str) -> str:
        return files.at(UNIT, name)

    return desired.Unit(
        engine=plane.engines.kubernetes,
        component=UNIT,
        flags={
            **leaders.flags(UNIT, plane.patience),
            "use-service-account-credentials": "true",
            "service-account-private-key-file": file("service-account.key"),
            "root-ca-file": file("ca.pem"),
            "cluster-signing-cert-file": file("ca.pem"),
            "cluster-signing-key-file": file("ca.key"),
            "cluster-signing-duration": "8760h",
            # Requests of nodes are approved by the controllers, which know whose address is whose.
            "controllers": "*,-certificatesigningrequest-approving-controller",
            "allocate-node-cidrs": "false",
            "configure-cloud-routes": "false",
            "cluster-name": plane.name,
            "service-cluster-ip-range": plane.service_cidr,
            "node-monitor-grace-period": f"{20 * plane.patience}s",
            "node-monitor-period": "2s",
            # The first start makes a service account and a token for each controller: 6 s at the default rate.
            "kube-api-qps": "500",
            "kube-api-burst": "1000",
        },
        environment={**plane.share, **leaders.ENVIRONMENT},
        files=files.files(digests, {}, {}),
        ready=leaders.probe(PORT),
        # Six more processes that start beside the API servers would take the processors from them, and only wait.
        after=apiserver.UNIT,
        group=f"{plane.id}.controllers",
        stop_timeout=5.0,
    )
