"""A customer's login to a cluster: a presigned GetCallerIdentity that names the cluster.

Source: `aws eks get-token`, aws-iam-authenticator.
"""

from __future__ import annotations

PREFIX = "k8s-aws-v1."
"""Before the URL in base64 (url-safe, without padding)."""
CLUSTER_HEADER = "x-k8s-aws-id"
"""A signed header with the cluster's name, so that a token for one cluster is no good at another."""
