"""A warning to who writes the ConfigMap `aws-auth`: it lets nobody in here, access entries do. Pure.

The API server says it in its answer, so that kubectl and eksctl show it at once, and takes the ConfigMap all the same:
tools write it for nodes, too, which do not need it. Source: Kubernetes, "Validating Admission Policy", action Warn.
"""

from __future__ import annotations

from roadstead.controllers.system import parts
from roadstead.kube.resources import Json

NAME = "roadstead-aws-auth"
SAID = (
    "Roadstead does not read the ConfigMap aws-auth: its mapRoles and mapUsers let nobody in. Nodes do not need them; "
    "for users and roles make access entries: aws eks create-access-entry"
)
_ADMISSION = "admissionregistration.k8s.io/v1"


def objects() -> tuple[Json, ...]:
    """The policy, and where it holds."""
    return _policy(), _binding()


def _policy() -> Json:
    return {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": parts.named(NAME, {}, namespaced=False),
        "spec": {
            # Who cannot be judged is not held up.
            "failurePolicy": "Ignore",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": parts.NAMESPACE}},
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["configmaps"],
                        "scope": "Namespaced",
                    }
                ],
            },
            "matchConditions": [{"name": "aws-auth", "expression": "object.metadata.name == 'aws-auth'"}],
            "validations": [{"expression": "!has(object.data) || object.data.size() == 0", "message": SAID}],
        },
    }


def _binding() -> Json:
    return {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": parts.named(NAME, {}, namespaced=False),
        "spec": {"policyName": NAME, "validationActions": ["Warn"]},
    }
