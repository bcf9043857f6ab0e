"""The AWS profile: the text of its files, and writing into homes in which anything may lie."""

from __future__ import annotations

import configparser
import fcntl
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.core import errors
from roadstead.identity import homes, profile
from roadstead.machine.aws import env

PROFILE = profile.Profile("http://127.0.0.1:4566", "eu-central-1", "AKIAONE", "se/cr+et=")
THEIRS = """# mine, do not touch
[default]
region=us-east-1   ; not here
s3 =
    max_concurrent_requests = 20

[profile  work]
sso_start_url = https://example.com/#/start
"""


def owner(home: Path) -> homes.Owner:
    return homes.Owner(home, os.getuid(), os.getgid())


def test_a_new_section_goes_to_the_end_and_all_else_stays() -> None:
    text = profile.with_settings(THEIRS, "profile roadstead", {"region": "eu-central-1"})
    assert text == f"{THEIRS}\n[profile roadstead]\nregion = eu-central-1\n"
    assert profile.with_settings("", "x", {"a": "b"}) == "[x]\na = b\n"
    assert profile.with_settings("[y]\nz = 1", "x", {"a": "b"}) == "[y]\nz = 1\n\n[x]\na = b\n"


def test_our_settings_change_in_place_and_others_of_the_section_stay() -> None:
    text = f"[profile roadstead]\noutput = json\nregion=old\nca_bundle = /x\n# why\n\n{THEIRS}"
    made = profile.with_settings(text, "profile roadstead", {"region": "new", "endpoint_url": "u"}, ("ca_bundle",))
    assert made == f"[profile roadstead]\nendpoint_url = u\noutput = json\nregion = new\n# why\n\n{THEIRS}"


@pytest.mark.parametrize("header", ["[profile roadstead]", '[profile "roadstead"]', "[profile  roadstead]  # ours"])
def test_a_header_is_known_however_it_is_written(header: str) -> None:
    made = profile.with_settings(f"{header}\r\nregion = a\r\n", "profile roadstead", {"region": "b"})
    assert made == f"{header}\r\nregion = b\r\n"


def test_a_setting_twice_or_with_lines_below_becomes_one() -> None:
    text = "[x]\na = 1\n  more\na = 2\nb = 3\n"
    assert profile.with_settings(text, "x", {"a": "9"}) == "[x]\na = 9\nb = 3\n"


@pytest.mark.parametrize("more", ["\n", "\r", "\x0b", "\x85", "\u2028", "\x1b", "\0"])
def test_a_value_is_one_line_or_refused(more: str) -> None:
    wanted = {"endpoint_url": f"http://127.0.0.1:1{more}credential_process = x"}
    for section in ("profile roadstead", "new"):
        with pytest.raises(errors.Invalid, match="endpoint_url has control characters"):
            profile.with_settings("[profile roadstead]\n", section, wanted)


_NAME = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_FILE = st.dictionaries(_NAME, st.dictionaries(_NAME, st.from_regex(r"[a-z0-9/]{1,9}", fullmatch=True)), max_size=4)


@given(_FILE, st.sampled_from(["\n", "\r\n"]))
def test_other_sections_read_the_same_and_a_second_time_changes_nothing(
    sections: dict[str, dict[str, str]], end: str
) -> None:
    lines = [
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items()) for name, rows in sections.items()
    ]
    text = "\n".join(lines).replace("\n", end)
    made = profile.with_settings(text, "ours", PROFILE.credentials())
    assert profile.with_settings(made, "ours", PROFILE.credentials()) == made
    read = configparser.RawConfigParser()
    read.read_string(made)
    for name, rows in sections.items():
        assert set(rows.items()) <= set(read[name].items())
    assert set(PROFILE.credentials().items()) <= set(read["ours"].items())
    assert profile.settings(made, "ours").items() >= PROFILE.credentials().items()


def test_a_home_gets_both_files_for_its_owner_alone(tmp_path: Path) -> None:
    assert homes.write(owner(tmp_path), PROFILE)
    assert homes.read(tmp_path) == PROFILE
    folder = tmp_path / ".aws"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("config", "credentials"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["config", "credentials"]
    before = (folder / "config").stat().st_ino
    assert not homes.write(owner(tmp_path), PROFILE)
    assert (folder / "config").stat().st_ino == before


def test_files_that_are_there_keep_what_is_not_ours_and_become_private(tmp_path: Path) -> None:
    config = tmp_path / ".aws" / "config"
    config.parent.mkdir()
    config.write_bytes(THEIRS.encode() + b"# \xff\n")
    config.chmod(0o644)
    homes.write(owner(tmp_path), PROFILE)
    assert config.read_bytes().startswith(THEIRS.encode() + b"# \xff\n")
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_links_to_the_owner_s_own_are_followed_and_stay(tmp_path: Path) -> None:
    real, home = tmp_path / "dotfiles", tmp_path / "home"
    (real / "aws").mkdir(parents=True)
    (real / "credentials").write_text("[work]\na = b\n")
    (real / "aws" / "credentials").symlink_to("../credentials")
    home.mkdir()
    (home / ".aws").symlink_to(real / "aws")
    (tmp_path / "link").symlink_to(home)
    homes.write(owner(tmp_path / "link"), PROFILE)
    assert homes.read(home) == PROFILE
    assert (real / "aws" / "credentials").is_symlink()
    assert (real / "credentials").read_text().startswith("[work]\na = b\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make what belongs to another")
@pytest.mark.parametrize("trap", ["home", "folder", "file", "link", "hard link", "pipe", "dangling"])
def test_what_is_not_the_owner_s_is_not_touched(tmp_path: Path, trap: str) -> None:
    person = homes.Owner(tmp_path / "home", 12345, 12345)
    secret = tmp_path / "shadow"
    secret.write_text("root:secret\n")
    secret.chmod(0o600)
    folder = person.home / ".aws"
    folder.mkdir(parents=True)
    os.chown(person.home, 12345, 12345)
    os.chown(folder, 12345, 12345)
    match trap:
        case "home":
            os.chown(person.home, 0, 0)
        case "folder":
            folder.rmdir()
            folder.symlink_to(tmp_path)
        case "file":
            (folder / "config").write_text("")
        case "link":
            (folder / "credentials").symlink_to(secret)
        case "hard link":
            (folder / "credentials").hardlink_to(secret)
        case "pipe":
            os.mkfifo(folder / "credentials")
            os.chown(folder / "credentials", 12345, 12345)
        case "dangling":
            (folder / "credentials").symlink_to(tmp_path / "new")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(errors.Denied):
        homes.write(person, PROFILE)
    assert secret.read_text() == "root:secret\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_root_gives_everything_to_the_owner(tmp_path: Path) -> None:
    person = homes.Owner(tmp_path / "home", 12345, 23456)
    person.home.mkdir()
    os.chown(person.home, 12345, 23456)
    homes.write(person, PROFILE)
    homes.place(person, "ca.pem", "certificate")
    for path in (person.home / ".aws", *(person.home / ".aws").iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_a_folder_in_use_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes, "_LOCKING", 0.1)
    (tmp_path / ".aws").mkdir()
    held = os.open(tmp_path / ".aws", os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(errors.Busy):
            homes.write(owner(tmp_path), PROFILE)
    finally:
        os.close(held)


def test_exports_of_a_profile_are_for_a_shell() -> None:
    text = env.shell(env.exports(PROFILE))
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:4566" in text.splitlines()
    assert "export AWS_SECRET_ACCESS_KEY=se/cr+et=" in text.splitlines()
    assert text.startswith("unset AWS_PROFILE ")
    assert "AWS_CA_BUNDLE" not in text


def test_no_profile_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="roadstead start"):
        homes.read(tmp_path)
