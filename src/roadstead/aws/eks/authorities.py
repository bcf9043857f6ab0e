"""The certificate authority of a cluster: one, made with it. Making another, to change over to it, is not built yet."""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509

from roadstead.aws import calls, store_access
from roadstead.aws.eks import lookups, resources
from roadstead.clusters import views


@calls.operation("eks", "ListCertificateAuthorities", on=resources.CLUSTER)
async def list_certificate_authorities(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """None before the cluster has it."""
    cluster = await lookups.cluster(call, asked["clusterName"])
    return {"certificateAuthorities": [_summary(cluster)] if _of(cluster) else []}


@calls.operation("eks", "DescribeCertificateAuthority", on=resources.CLUSTER)
async def describe_certificate_authority(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    cluster = await lookups.cluster(call, asked["clusterName"])
    authority, summary = _of(cluster), _summary(cluster)
    if authority is None or summary["id"] != asked["certificateAuthorityId"]:
        said = f"No certificate authority found for ID: {asked['certificateAuthorityId']}"
        store_access.refuse("ResourceNotFoundException", said, clusterName=cluster.wanted.name)
    certificate = x509.load_pem_x509_certificate(base64.b64decode(authority))
    validity = {"notBefore": certificate.not_valid_before_utc, "notAfter": certificate.not_valid_after_utc}
    whole = {**summary, "validity": validity, "rollbackAvailable": False, "data": authority}
    return {"certificateAuthority": whole}


def _of(cluster: lookups.Cluster) -> str | None:
    """The certificate, in PEM and base 64."""
    return cluster.seen.authority if cluster.seen and cluster.seen.authority else None


def _summary(cluster: lookups.Cluster) -> dict[str, Any]:
    """The model's CertificateAuthoritySummary."""
    since = views.moment(cluster.wanted.created_at)
    return {
        "id": views.authority_id(cluster.state.desired),
        "createdAt": since,
        "createdBy": "EKS",
        "activatedAt": since,
        "activatedBy": "EKS",
        "signingStatus": "IN_USE",
        "distributionStatus": "COMPLETE",
    }
