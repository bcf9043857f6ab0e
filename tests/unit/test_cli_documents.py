"""ClusterConfig from YAML and JSON: strict, and every complaint says where; and back to text."""

from __future__ import annotations

import json

import pytest

from roadstead.cli import config, documents
from roadstead.core import errors

GOOD = """\
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: dev
  region: eu-central-1
  version: "1.36"
  tags: {team: x}
managedNodeGroups:
- name: ng
  desiredCapacity: 2
  iam: {withAddonPolicies: {autoScaler: true}}
"""


def test_a_document_is_a_config() -> None:
    read = documents.read(GOOD, "c.yaml")
    assert read == config.ClusterConfig(
        metadata=config.Metadata(name="dev", region="eu-central-1", version="1.36", tags={"team": "x"}),
        managed_node_groups=(
            config.ManagedNodeGroup(
                name="ng",
                desired_capacity=2,
                iam=config.NodeIam(with_addon_policies=config.AddonPolicies(auto_scaler=True)),
            ),
        ),
    )


def test_json_is_read_too_and_a_config_is_written_and_read_again() -> None:
    read = documents.read(GOOD, "c.yaml")
    assert documents.read(documents.yaml_text(documents.tree(read)), "c") == read
    assert documents.read(json.dumps(documents.tree(read)), "c") == read


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  name: dev", "  nmae: dev", "c:4:3: metadata.nmae: unknown key 'nmae'; did you mean 'name'?"),
        (
            "desiredCapacity",
            "desiredcapacity",
            "c:10:3: managedNodeGroups[0].desiredcapacity: unknown key 'desiredcapacity'; "
            "did you mean 'desiredCapacity'?",
        ),
        ("team: x", "team: 1", "c:7:16: metadata.tags.team: expected text, found the number 1; put it in quotes"),
        (
            '"1.36"',
            "1.36",
            "c:6:12: metadata.version: expected text, found the number 1.36; put it in quotes",
        ),
        ("Capacity: 2", "Capacity: '2'", "c:10:20: managedNodeGroups[0].desiredCapacity: expected a whole number, "
         "found the text '2'"),
        ("Capacity: 2", "Capacity: true", "c:10:20: managedNodeGroups[0].desiredCapacity: expected a whole number, "
         "found true"),
        ("Scaler: true", "Scaler: yes", "c:11:41: managedNodeGroups[0].iam.withAddonPolicies.autoScaler: expected "
         "true or false, found the text 'yes'"),
        ("{team: x}", "[x]", "c:7:9: metadata.tags: expected a mapping, found a list"),
        ("- name: ng\n ", "  name: ng\n ", "c:9:3: managedNodeGroups: expected a list, found a mapping"),
        ("v1alpha5", "v1alpha4", "c:1:13: apiVersion: expected one of eksctl.io/v1alpha5, found the text "
         "'eksctl.io/v1alpha4'"),
        ("kind: ClusterConfig\n", "", "c: kind must be set: kind: ClusterConfig"),
        ("kind:", "addons: []\nkind:", "c:2:1: addons is not supported: Roadstead manages no add-ons yet"),
        ("  name: dev", "  name: dev\n  name: two", 'c:5:3: found duplicate key "name" with value "two" '
         '(original value: "dev")'),
        ("metadata:", "metadata: [", "c:5:9: expected ',' or ']', but got ':'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(errors.Invalid) as error:
        documents.read(GOOD.replace(old, new, 1), "c")
    assert error.value.message == said


@pytest.mark.parametrize("text", ["", "[]", "a", "{", "\x00", "? [a]\n: b", "&x [*x]", "!!python/object x", "- 1: 2"])
def test_what_is_no_config_is_an_error_of_one_line(text: str) -> None:
    with pytest.raises(errors.Invalid) as error:
        documents.read(text, "c")
    assert error.value.message.startswith("c")
    assert "\n" not in error.value.message


@pytest.mark.parametrize("text", ["metadata: &x [*x]", "metadata: " + "[" * 5000])
def test_a_document_that_has_no_end_is_refused(text: str) -> None:
    with pytest.raises(errors.Invalid, match=r"^c\b"):
        documents.read(f"apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\n{text}\n", "c")


def test_null_is_left_out_but_where_eksctl_prints_it() -> None:
    read = documents.read(GOOD + "  labels: null\n  securityGroups: {withLocal: null}\nvpc:\n", "c")
    assert read.vpc is None
    assert documents.tree(read)["managedNodeGroups"][0]["securityGroups"] == {"withLocal": None}
    assert "labels" not in documents.tree(read)["managedNodeGroups"][0]


def test_anchors_and_merges_are_yaml() -> None:
    text = GOOD.replace("{team: x}", "&t {team: x}") + "  tags:\n    <<: *t\n    more: y\n"
    (group,) = documents.read(text, "c").managed_node_groups or ()
    assert group.tags == {"team": "x", "more": "y"}


def test_text_that_reads_as_something_else_is_quoted() -> None:
    text = documents.yaml_text({"a": "1.36", "b": "yes", "c": "", "d": "plain", "e": True, "f": None, "g": [{"x": 1}]})
    assert text == 'a: "1.36"\nb: "yes"\nc: ""\nd: plain\ne: true\nf: null\ng:\n- x: 1\n'
