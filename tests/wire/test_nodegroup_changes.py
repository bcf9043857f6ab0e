"""UpdateNodegroupConfig as EKS has it: labels and taints are added, changed and removed by name; the rest stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.wire import customer as customers

GROUP = {"clusterName": "shop", "nodegroupName": "workers"}


def test_labels_and_taints_are_changed_by_name(tmp_path: Path) -> None:
    def story(customer: customers.Customer) -> None:
        eks = customer.eks
        customer.active()
        taints = [{"key": "dedicated", "value": "gpu", "effect": "NO_SCHEDULE"}]
        eks.create_nodegroup(**customer.nodes(1), labels={"team": "blue", "old": "1"}, taints=taints)
        active = eks.get_waiter("nodegroup_active")
        active.wait(**GROUP, WaiterConfig=customers.QUICK)

        def changed(**asked: Any) -> dict[str, Any]:
            eks.update_nodegroup_config(**GROUP, **asked)
            active.wait(**GROUP, WaiterConfig=customers.QUICK)
            shown: dict[str, Any] = eks.describe_nodegroup(**GROUP)["nodegroup"]
            return shown

        shown = changed(labels={"addOrUpdateLabels": {"team": "red", "new": "2"}, "removeLabels": ["old", "unknown"]})
        assert shown["labels"] == {"team": "red", "new": "2"}
        assert shown["taints"] == taints
        # Taints are told apart by key and effect: the value of one is changed, another one of its key comes.
        more = [
            {"key": "dedicated", "value": "cpu", "effect": "NO_SCHEDULE"},
            {"key": "dedicated", "value": "gpu", "effect": "NO_EXECUTE"},
        ]
        shown = changed(taints={"addOrUpdateTaints": more})
        assert (shown["taints"], shown["labels"]) == (more, {"team": "red", "new": "2"})
        shown = changed(taints={"removeTaints": [{"key": "dedicated", "value": "cpu", "effect": "NO_SCHEDULE"}]})
        assert shown["taints"] == more[1:]
        shown = changed(scalingConfig={"desiredSize": 0})
        assert (shown["taints"], shown["labels"]) == (more[1:], {"team": "red", "new": "2"})
        for wrong in ({"labels": {"addOrUpdateLabels": {"a b": "c"}}}, {"taints": {"removeTaints": [{"key": "k"}]}}):
            code, _ = customer.refused(eks.update_nodegroup_config, **GROUP, **wrong)
            assert code == "InvalidParameterException"

    customers.told(tmp_path, story)
