"""Users and groups in clusters: serve makes roles for them, and porter says who is one."""

from __future__ import annotations

OURS = "roadstead:"
"""What names of the house's own users begin with: nobody else gets such a name, and none would give anything."""
SERVE = f"{OURS}serve"
"""The user that serve is to API servers."""
API_SERVER = f"{OURS}apiserver"
"""The user as which API servers come to kubelets."""
WEBHOOK = f"{OURS}doors"
"""The subject of the certificate with which porter answers API servers."""
RESERVED = (OURS, "system:", "eks:", "aws:", "amazon:", "iam:")
"""What names of users and groups in access entries do not begin with: Kubernetes' own, EKS's, and the house's."""
CREDENTIAL = "authentication.kubernetes.io/credential-id"
"""The key under which API servers say which certificate a user has shown: `X509SHA256=` and 64 hexadecimal digits."""

ADMIN = "AmazonEKSAdminPolicy"
ADMIN_VIEW = "AmazonEKSAdminViewPolicy"
CLUSTER_ADMIN = "AmazonEKSClusterAdminPolicy"
EDIT = "AmazonEKSEditPolicy"
VIEW = "AmazonEKSViewPolicy"
POLICIES = (ADMIN, ADMIN_VIEW, CLUSTER_ADMIN, EDIT, VIEW)
"""The access policies that there are."""


POLICY_GROUP = "eks:access-policy:"
"""What the groups of access policies begin with."""


def policy_group(policy: str) -> str:
    """The group of those who have that access policy on the whole cluster."""
    return f"{POLICY_GROUP}{policy}"
