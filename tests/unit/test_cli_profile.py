"""Endpoint, region and credentials: the flag's, the environment's, the profile's; and never AWS's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.cli import profile
from roadstead.core import errors
from roadstead.wire import sigv4

CONFIG = """\
[default]
region = us-east-1
[profile roadstead]
region = eu-west-1
endpoint_url = http://127.0.0.1:4566
[profile other]
endpoint_url = https://10.0.0.1:4566
ca_bundle = /etc/ca.pem
aws_access_key_id = O
aws_secret_access_key = P
[profile keyless]
endpoint_url = http://127.0.0.1:4566
[profile nested]
s3 =
  addressing_style = path
"""
KEYS = {"AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "F", "AWS_SESSION_TOKEN": "T"}
CREDENTIALS = "[roadstead]\naws_access_key_id = K\naws_secret_access_key = S%\n"

OURS = profile.ApiAccess(
    "eu-west-1", "http://127.0.0.1:4566", sigv4.Credentials("K", "S%"), keys_of="the AWS profile 'roadstead'"
)
OTHERS = profile.ApiAccess(
    "eu-central-1",
    "https://10.0.0.1:4566",
    sigv4.Credentials("O", "P"),
    ca_bundle="/etc/ca.pem",
    keys_of="the AWS profile 'other'",
)


def access(
    environment: dict[str, str] | None = None, *, asked: str | None = None, region: str | None = None
) -> profile.ApiAccess:
    return profile.access(environment or {}, CONFIG, CREDENTIALS, profile=asked, region_asked=region)


def test_without_a_word_it_is_the_profile_roadstead() -> None:
    assert access() == OURS


def test_another_profile_by_flag_or_environment() -> None:
    assert access(asked="other") == OTHERS
    assert access({"AWS_PROFILE": "other"}) == OTHERS


def test_the_environment_goes_before_the_profile_and_the_flag_before_both() -> None:
    said = {"AWS_REGION": "eu-north-1", "AWS_ENDPOINT_URL": "http://e:1", "AWS_ENDPOINT_URL_EKS": "http://k:2"}
    found = access({**KEYS, **said, "AWS_CA_BUNDLE": "/b"})
    assert found == profile.ApiAccess(
        "eu-north-1",
        "http://e:1",
        sigv4.Credentials("E", "F", "T"),
        {"eks": "http://k:2"},
        "/b",
        keys_of="AWS_ACCESS_KEY_ID",
    )
    assert access({**KEYS, **said}, region="ap-south-1").region == "ap-south-1"
    assert access({**KEYS, **said}, asked="other").credentials == sigv4.Credentials("O", "P")


@pytest.mark.parametrize(
    ("environment", "asked", "key"),
    [
        # AWS's own keys are there for AWS, and the endpoint is the profile's: so are the keys.
        ({}, None, "K"),
        ({"AWS_PROFILE": "other"}, None, "O"),
        ({}, "other", "O"),
        ({"AWS_ENDPOINT_URL": ""}, None, "K"),
        # An endpoint beside them says whom they are for.
        ({"AWS_ENDPOINT_URL": "http://e:1"}, None, "E"),
        ({"AWS_ENDPOINT_URL_EKS": "http://k:2"}, None, "E"),
        ({"AWS_ENDPOINT_URL": "http://e:1", "AWS_PROFILE": "other"}, None, "E"),
        # There are no others.
        ({"AWS_PROFILE": "keyless"}, None, "E"),
        # Half of a pair is none.
        ({"AWS_ENDPOINT_URL": "http://e:1", "AWS_SECRET_ACCESS_KEY": ""}, None, "K"),
    ],
)
def test_keys_go_with_their_endpoint(environment: dict[str, str], asked: str | None, key: str) -> None:
    found = access({**KEYS, **environment}, asked=asked)
    assert found.credentials.access_key == key
    assert (found.keys_of == "AWS_ACCESS_KEY_ID") == (key == "E")


@pytest.mark.parametrize(
    ("environment", "asked", "said"),
    [
        ({}, "nope", "the AWS config has no profile 'nope'"),
        ({"AWS_PROFILE": "default"}, None, "no endpoint of Roadstead is known"),
        ({"AWS_PROFILE": "default", "AWS_ENDPOINT_URL": "http://e:1"}, None, "no credentials"),
        ({"AWS_REGION": "nowhere"}, None, "'nowhere' is no region"),
    ],
)
def test_what_is_missing_is_told(environment: dict[str, str], asked: str | None, said: str) -> None:
    with pytest.raises(errors.Error, match=said):
        access(environment, asked=asked)


def test_a_damaged_file_is_told_and_no_file_is_empty(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="damaged"):
        profile.access({}, "no section\n", "", profile=None, region_asked=None)
    assert profile.read(tmp_path / "none") == ""
    with pytest.raises(errors.Denied):
        profile.read(tmp_path)


def test_the_files_are_where_the_environment_says() -> None:
    home = Path("/home/ann")
    assert profile.files({}, home) == (home / ".aws" / "config", home / ".aws" / "credentials")
    assert profile.files({"AWS_CONFIG_FILE": "/c", "AWS_SHARED_CREDENTIALS_FILE": "/d"}, home) == (
        Path("/c"),
        Path("/d"),
    )


def test_secrets_are_not_shown() -> None:
    assert "S%" not in repr(access())
