"""Which events belong to a resource."""

from __future__ import annotations

import pytest

from roadstead.aws.roadstead import events

EKS = "arn:aws:eks:eu-central-1:012345678901"


@pytest.mark.parametrize(
    ("asked", "of", "belongs"),
    [
        ("cluster/shop", "cluster/shop", True),
        ("cluster/shop", "nodegroup/shop/workers", True),
        ("cluster/shop", "nodegroup/shop-2/workers", False),
        ("cluster/shop", "cluster/shop-2", False),
        ("nodegroup/shop/workers/0a1b-2c", "nodegroup/shop/workers", True),
        ("nodegroup/shop/workers/0a1b-2c", "nodegroup/shop/work", False),
        ("nodegroup/shop/workers/0a1b-2c", "cluster/shop", False),
    ],
)
def test_events_of_a_resource(asked: str, of: str, belongs: bool) -> None:
    assert events.concerns(f"{EKS}:{asked}", f"{EKS}:{of}") is belongs
