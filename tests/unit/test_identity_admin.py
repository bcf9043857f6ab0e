"""What serve leaves for root of the administrator: a small plain file, whose words are words."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.identity import admin

ENDPOINT = "http://127.0.0.1:1"


def test_what_serve_leaves_for_root(tmp_path: Path) -> None:
    left = admin.Admin(
        account="123456789012", access_key="AKIA" * 5, secret="s3cr" * 10, endpoint=ENDPOINT, region="us-east-1"
    )
    with pytest.raises(errors.NotFound):
        admin.read(tmp_path)
    for _ in range(2):
        admin.write(tmp_path, left)
    assert admin.read(tmp_path) == left
    assert "s3cr" not in repr(left)
    assert [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()] == [("admin.json", 0o600)]
    found = left.profile("/ca.pem")
    assert found is not None
    assert found.config() == {"region": "us-east-1", "endpoint_url": ENDPOINT, "ca_bundle": "/ca.pem"}
    assert dataclasses.replace(found).secret == "s3cr" * 10
    # Where root has started it counts, and not where the file leads to.
    assert left.at("http://127.0.0.1:2", "eu-west-1").endpoint == "http://127.0.0.1:2"


def test_root_reads_only_a_plain_file_of_serves(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("{}")
    (tmp_path / admin.FILE).symlink_to("other")
    with pytest.raises(errors.Failed, match="cannot be read"):
        admin.read(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": f"{ENDPOINT}\ncredential_process = /bin/sh"},
        {"endpoint": f"{ENDPOINT}\n"},
        {"endpoint": "https://elsewhere.example:1"},
        {"region": "us-east-1\r[profile other]"},
        {"access_key": "AKIA" * 5 + "\n"},
        {"secret": "s3cr" * 9 + "\u2028"},
        {"account": "123456789012\n"},
        {"account": "\u0661" * 12},
        {"ca": "-----BEGIN CERTIFICATE-----\n\x1b[2J"},
        {"ca": "-----BEGIN CERTIFICATE-----\n" + "A" * (1 << 16)},
    ],
)
def test_root_believes_no_word_of_serves_that_could_be_more_than_a_word(tmp_path: Path, wrong: dict[str, str]) -> None:
    right = {"account": "123456789012", "access_key": "AKIA" * 5, "secret": "s3cr" * 10, "region": "us-east-1"}
    right |= {"endpoint": ENDPOINT, "ca": "-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----\n"}
    (tmp_path / admin.FILE).write_text(json.dumps(right))
    assert admin.read(tmp_path).endpoint == ENDPOINT
    (tmp_path / admin.FILE).write_text(json.dumps(right | wrong))
    with pytest.raises(errors.Failed, match=r"admin.json is damaged: .*restart serve") as told:
        admin.read(tmp_path)
    assert not any(text in str(told.value) for text in wrong.values())
