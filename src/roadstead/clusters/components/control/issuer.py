"""Names of a cluster in EKS's forms: the issuer of service accounts' tokens and the endpoint's name."""

from __future__ import annotations

import hashlib

from roadstead.clusters.components import facts


def oidc_id(cluster_id: str) -> str:
    """32 hexadecimal digits in upper case, the same for the life of the cluster."""
    return hashlib.sha256(f"oidc/{cluster_id}".encode()).hexdigest()[:32].upper()


def url(region: str, cluster_id: str) -> str:
    """The issuer that tokens of service accounts carry: `identity.oidc.issuer` of DescribeCluster.

    A name only: nothing of Roadstead answers there.
    """
    return f"https://oidc.eks.{region}.amazonaws.com/id/{oidc_id(cluster_id)}"


def endpoint_name(at: facts.Topology) -> str:
    """A name of the endpoint in EKS's form. It is in the certificates; nothing resolves it yet."""
    return f"{oidc_id(at.id).lower()}.gr7.{at.region}.eks.amazonaws.com"
