"""Constraints of the models: all problems, in AWS's words; and every pattern in Python's."""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import Any

import pytest
from tests.wire import peer, samples

from roadstead.core import errors
from roadstead.wire import patterns, shapes, validate


def problems(operation: str, values: dict[str, Any], service: str = "eks") -> list[str]:
    return [p.message for p in validate.problems(peer.ours(service).operation(operation).input, values)]


def test_every_problem_is_told_in_the_words_of_aws() -> None:
    found = problems("CreateCluster", {"name": "-bad", "tags": {"": "x" * 257}, "logging": {"clusterLogging": [{}]}})
    fails = "failed to satisfy constraint: Member must"
    assert found == [
        f"Value null at 'roleArn' {fails} not be null",
        f"Value null at 'resourcesVpcConfig' {fails} not be null",
        rf"Value '-bad' at 'name' {fails} satisfy regular expression pattern: ^[0-9A-Za-z][A-Za-z0-9\-_]*",
        f"Value '' at 'tags.key' {fails} have length greater than or equal to 1",
        f"Value '{'x' * 256}...' at 'tags..member' {fails} have length less than or equal to 256",
    ]


def test_the_sentence_counts() -> None:
    shape = peer.ours("eks").operation("ListClusters").input
    found = validate.problems(shape, {"maxResults": 101})
    assert validate.sentence(found) == (
        "1 validation error detected: Value '101' at 'maxResults' failed to satisfy constraint: "
        "Member must have value less than or equal to 100"
    )
    assert validate.sentence(found * 2).startswith("2 validation errors detected: ")


def test_enums_lists_and_places() -> None:
    values = {
        "clusterName": "c",
        "nodegroupName": "n",
        "nodeRole": "r",
        "subnets": ["s"],
        "taints": [{"key": "k", "effect": "NO_SCHEDULE"}, {"key": "k", "effect": "NEVER"}],
    }
    assert problems("CreateNodegroup", values) == [
        "Value 'NEVER' at 'taints.2.member.effect' failed to satisfy constraint: "
        "Member must satisfy enum value set: [NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE]"
    ]


def test_bounds_are_inclusive_and_patterns_match_the_whole() -> None:
    for good in (1, 100):
        assert problems("ListClusters", {"maxResults": good}) == []
    for bad in (0, 101):
        assert len(problems("ListClusters", {"maxResults": bad})) == 1
    for name in ("a b", "a\n", "a\r\n", "\na"):
        assert "pattern" in problems("CreateCluster", {"name": name, "roleArn": "r", "resourcesVpcConfig": {}})[0]


def test_types_are_told_too() -> None:
    assert "Member must be of type integer" in problems("ListClusters", {"maxResults": "many"})[0]
    assert "Member must be of type structure" in problems("CreateCluster", {"resourcesVpcConfig": []})[-1]


def test_secrets_are_not_shown() -> None:
    found = problems("ChangePassword", {"OldPassword": "hunter2" * 30, "NewPassword": "x"}, "iam")
    assert found
    assert "hunter2" not in str(found)


def test_a_hundred_problems_are_enough() -> None:
    assert len(problems("TagResource", {"resourceArn": "a", "tags": {f"{n}" * 200: "" for n in range(999)}})) == 100


@pytest.mark.parametrize("name", peer.SERVICES)
def test_samples_of_minimal_inputs_have_no_missing_members(name: str) -> None:
    service = peer.ours(name)
    for operation in map(service.operation, service.operation_names):
        values = samples.Sampler(1, full=False).structure(operation.input) if operation.input else {}
        assert not [p for p in validate.problems(operation.input, values) if "null" in p.constraint]


def every_pattern() -> set[str]:
    found: set[str] = set()
    for name in peer.SERVICES:
        service = peer.ours(name)
        for shape_name in service._model.shapes:
            shape: shapes.Shape = service.shape(shape_name)
            if shape.pattern is not None:
                found.add(shape.pattern)
    return found


def test_every_pattern_of_every_service_translates() -> None:
    found = every_pattern()
    assert len(found) > 140
    for pattern in found:
        patterns.compiled(pattern)


def test_patterns_that_python_already_understands_mean_the_same() -> None:
    texts = [*samples.TEXTS, "", "a-b_c", "eks", "123456789012", "x" * 70, "a[b]", "i-0abc"]
    for pattern in every_pattern():
        try:
            plain = re.compile(pattern, re.ASCII)
        except re.error:
            continue
        for text in texts:
            assert bool(plain.fullmatch(text)) == bool(patterns.compiled(pattern).fullmatch(text)), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+", ["Größe 1", "名前", "a:b/c=d+e-f@g"], ["a*b", "tab\t", ""]),
        (r"[\w-_]*", ["a-b_c"], ["a.b", "é"]),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", ["a\n𐍈", "\U0010ffff"], ["\x00", "\x1b"]),
        (r"[^\[\]&&|~]+", ["abc"], ["a&", "a|"]),
        (r"[a[b]+", ["a[b"], ["c"]),
        (r"\p{Alnum}+", ["aZ9"], ["-"]),
    ],
)
def test_translations(pattern: str, good: list[str], bad: list[str]) -> None:
    compiled = patterns.compiled(pattern)
    assert [text for text in good if not compiled.fullmatch(text)] == []
    assert [text for text in bad if compiled.fullmatch(text)] == []


def test_what_cannot_be_translated_is_an_error() -> None:
    for pattern in (r"\p{Greek}", "(", "a**"):
        with pytest.raises(errors.Invalid):
            patterns.compiled(pattern)


def test_no_letter_number_or_separator_lies_beyond_the_scanned_planes() -> None:
    beyond = range(patterns._SCANNED, sys.maxunicode + 1)
    assert not [code for code in beyond if unicodedata.category(chr(code))[0] in "LNZ"]
