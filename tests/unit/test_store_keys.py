"""Keys: one safe text for each, and prefixes that cover what is below them and nothing beside."""

from __future__ import annotations

import re

import hypothesis
import pytest
from hypothesis import strategies

from roadstead.core import errors
from roadstead.store import keys

ACCOUNT = "012345678901"
REGION = "eu-central-1"

NAMES = strategies.lists(
    strategies.text(strategies.characters(codec="utf-8"), min_size=1, max_size=12), min_size=1, max_size=4
)


@hypothesis.given(NAMES)
def test_a_key_is_read_back_from_its_text_and_the_text_is_safe(names: list[str]) -> None:
    key = keys.Key(ACCOUNT, REGION, "cluster", *names)
    assert keys.Key.parse(key.text) == key
    assert key.names == tuple(names)
    assert re.fullmatch(r"[A-Za-z0-9._~:@+=%/-]+", key.text)
    assert key.text.count("/") == 2 + len(names)


@hypothesis.given(NAMES, NAMES)
def test_a_prefix_covers_what_has_more_parts_and_the_bounds_say_the_same(names: list[str], others: list[str]) -> None:
    key = keys.Key(ACCOUNT, REGION, "cluster", *names)
    prefix = keys.Prefix(ACCOUNT, REGION, "cluster", *others)
    below = len(names) > len(others) and names[: len(others)] == others
    assert prefix.covers(key) is below
    low, high = prefix.bounds
    assert (low <= key.text < high) is below


def test_the_prefix_of_nothing_covers_all() -> None:
    key = keys.Key(ACCOUNT, REGION, "cluster", "~~~\U0010ffff")
    low, high = keys.Prefix().bounds
    assert keys.Prefix().covers(key)
    assert low <= key.text < high


def test_a_prefix_does_not_cover_a_longer_name() -> None:
    prefix = keys.Prefix(ACCOUNT, REGION, "nodegroup", "shop")
    assert prefix.covers(keys.Key(ACCOUNT, REGION, "nodegroup", "shop", "workers"))
    assert not prefix.covers(keys.Key(ACCOUNT, REGION, "nodegroup", "shop2", "workers"))
    assert not prefix.covers(keys.Key(ACCOUNT, REGION, "nodegroup", "shop"))


def test_names_that_are_joined_differently_are_different_keys() -> None:
    assert keys.Key(ACCOUNT, REGION, "role", "a/b").text == f"{ACCOUNT}/{REGION}/role/a%2Fb"
    assert keys.Key(ACCOUNT, REGION, "role", "a/b") != keys.Key(ACCOUNT, REGION, "role", "a", "b")


@pytest.mark.parametrize(
    "parts",
    [
        ("12345678901", REGION, "cluster", "a"),
        ("01234567890\u0661", REGION, "cluster", "a"),
        (ACCOUNT, "EU", "cluster", "a"),
        (ACCOUNT, "", "cluster", "a"),
        (ACCOUNT, REGION, "Cluster", "a"),
        (ACCOUNT, REGION, "cluster"),
        (ACCOUNT, REGION, "cluster", ""),
        (ACCOUNT, REGION, "cluster", "\ud800"),
        (ACCOUNT, REGION, "cluster", "a" * keys.LONGEST),
    ],
)
def test_what_is_no_key_is_refused(parts: tuple[str, str, str]) -> None:
    with pytest.raises(errors.Invalid):
        keys.Key(*parts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        f"{ACCOUNT}/{REGION}/cluster",
        f"{ACCOUNT}/{REGION}/cluster/",
        f"{ACCOUNT}/{REGION}/cluster/a b",
        f"{ACCOUNT}/{REGION}/cluster/%61",
        f"{ACCOUNT}/{REGION}/cluster/a%2fb",
        f"{ACCOUNT}/{REGION}/cluster/%FF",
    ],
)
def test_a_text_that_no_key_has_is_refused(text: str) -> None:
    with pytest.raises(errors.Invalid):
        keys.Key.parse(text)
