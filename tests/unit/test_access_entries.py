"""Access entries: the words of policies, reserved names, and what usernames follow from."""

from __future__ import annotations

import pytest

from roadstead.clusters.access import entries, policies
from roadstead.contract import kubernetes
from roadstead.controllers.system import rbac
from roadstead.core import errors

USER = "arn:aws:iam::123456789012:user/ann"
ROLE = "arn:aws:iam::123456789012:role/path/ops"


def test_the_words_of_policies_are_one() -> None:
    assert set(policies.NAMES) == set(rbac.POLICIES)
    groups = {each["subjects"][0]["name"] for each in rbac.objects() if each["kind"] == "ClusterRoleBinding"}
    assert {kubernetes.policy_group(policy) for policy in policies.NAMES} <= groups
    assert policies.name_of(policies.arn(policies.ADMIN)) == policies.ADMIN
    assert policies.name_of("arn:aws:eks::aws:cluster-access-policy/Other") is None
    assert policies.name_of(policies.ADMIN) is None


@pytest.mark.parametrize(
    "name",
    [
        *("system:masters", "SYSTEM:masters", "eks:access-policy:X", "aws:x", "amazon:x", "iam:x", "", "a\nb"),
        *("roadstead:serve", "Roadstead:x", "roadstead:"),
    ],
)
def test_reserved_names_are_nobodys(name: str) -> None:
    with pytest.raises(errors.Invalid):
        entries.checked_groups([name])
    with pytest.raises(errors.Invalid):
        entries.checked_username(name, entries.principal(USER))


def test_usernames_follow_from_principals() -> None:
    assert entries.default_username(USER) == USER
    assert entries.default_username(ROLE) == "arn:aws:sts::123456789012:assumed-role/ops/{{SessionName}}"
    assert entries.checked_username("x:{{SessionName}}", entries.principal(ROLE)) == "x:{{SessionName}}"
    with pytest.raises(errors.Invalid):
        entries.checked_username("x:{{SessionName}}", entries.principal(USER))
    for wrong in ("ann", "arn:aws:sts::123456789012:assumed-role/ops/me", "arn:aws:iam::123456789012:group/g"):
        with pytest.raises(errors.Invalid):
            entries.principal(wrong)
