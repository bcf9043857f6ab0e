"""What of an API server's objects is kept in a seed."""

from __future__ import annotations

import pytest

from roadstead.engine.seeds import main


@pytest.mark.parametrize(
    "key",
    [
        "/registry/secrets/kube-system/x",
        "/registry/serviceaccounts/default/default",
        "/registry/namespaces/default",
        "/registry/configmaps/kube-system/extension-apiserver-authentication",
        "/registry/services/specs/default/kubernetes",
        "/registry/masterleases/198.51.100.1",
        "/registry/ranges/serviceips",
        "/registry/clusterrolesof/others",
        "/elsewhere/registry/roles/a",
        "compact_rev_key",
    ],
)
def test_what_says_anything_of_a_cluster_is_not_kept(key: str) -> None:
    assert main.others([key, "/registry/clusterroles/view"]) == [key]


def test_a_transaction_deletes_each_key() -> None:
    assert main.transaction(["/registry/a", 'b "c"']) == '\ndel "/registry/a"\ndel "b \\"c\\""\n\n\n'
