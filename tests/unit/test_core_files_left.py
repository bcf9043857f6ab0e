"""What others have left: links, pipes, files without end and names of other files are not read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from roadstead.cli.kubeconfig import entry
from roadstead.contract import programs
from roadstead.core import errors, instance
from roadstead.core.files import left
from roadstead.machine.services import names

MOST = 64
OTHER = 12345
"""A user id that is not this process's."""


def test_a_small_plain_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * MOST)
    assert left.read(file, MOST) == b"x" * MOST
    file.write_bytes(b"")
    assert left.read(file, MOST) == b""
    with pytest.raises(errors.NotFound):
        left.read(tmp_path / "none", MOST)
    with pytest.raises(errors.NotFound):
        left.read(tmp_path / "none" / "file", MOST)


@pytest.mark.parametrize("trap", ["link", "dangling", "folder link", "folder", "pipe", "device", "large", "endless"])
def test_nothing_else_is(tmp_path: Path, trap: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "secret").write_text("root:secret")
    file = tmp_path / "own" / "file"
    match trap:
        case "link":
            file.symlink_to(tmp_path / "secret")
        case "dangling":
            file.symlink_to(tmp_path / "none")
        case "folder link":
            (tmp_path / "other").symlink_to(tmp_path)
            file = tmp_path / "other" / "secret"
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "device":
            file = Path("/dev/zero")
        case "large":
            file.write_bytes(b"x" * (MOST + 1))
        case "endless":
            # It says that it has no bytes, and has some.
            file = Path("/proc/self/mountinfo")
            assert file.stat().st_size == 0
            assert len(file.read_bytes()) > MOST
    with pytest.raises(errors.Failed) as told:
        left.read(file, MOST)
    assert "secret" not in str(told.value) or trap == "folder link"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make what belongs to another")
def test_root_takes_from_a_users_folder_only_what_is_the_users(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    os.chown(folder, OTHER, OTHER)
    shadow = tmp_path / "shadow"
    shadow.write_text("root:secret")
    (folder / "file").hardlink_to(shadow)
    with pytest.raises(errors.Failed, match=f"not of the user {OTHER}"):
        left.read(folder / "file", MOST)
    (folder / "theirs").write_text("theirs")
    os.chown(folder / "theirs", OTHER, OTHER)
    assert left.read(folder / "theirs", MOST) == b"theirs"


class _Form(msgspec.Struct):
    name: str = ""


def test_what_is_deeper_than_anything_is_read_is_damaged(tmp_path: Path) -> None:
    deep = b'{"another": ' + b"[" * 100_000
    (tmp_path / "file").write_bytes(deep)
    with pytest.raises(errors.Failed, match="is damaged"):
        left.decode(tmp_path / "file", len(deep), _Form)


def test_what_is_read_is_of_its_form_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text('{"a": 1}')
    assert left.decode(file, MOST, dict[str, int]) == {"a": 1}
    for wrong in (b'{"a": "hidden"}', b'{"a": 1', b"", b"\xff\xfe", b'{"\xff": 1}'):
        file.write_bytes(wrong)
        with pytest.raises(errors.Failed, match="is damaged") as told:
            left.decode(file, MOST, dict[str, int])
        assert "hidden" not in str(told.value)


@pytest.mark.parametrize(
    "wrong",
    [
        '{"eu-central-1/one\\u001b[2J": "c-1"}',
        '{"eu-central-1/one": "c-1\\n"}',
        '{"eu-central-1/one": "../../etc"}',
        '{"one": "c-1"}',
        "[]",
        "{" + " " * (1 << 20) + "}",
    ],
)
def test_names_of_clusters_are_names(tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    places = instance.Instance(state=tmp_path)
    folder = tmp_path / "serve"
    folder.mkdir()
    assert names.known(places) == {}
    (folder / programs.CLUSTERS).write_text('{"eu-central-1/one": "c-1a2b3c4d"}')
    assert names.ids(places) == {"eu-central-1/one": "c-1a2b3c4d"}
    (folder / programs.CLUSTERS).write_text(wrong)
    with pytest.raises(errors.Failed):
        names.ids(places)
    assert names.known(places) == {}
    said = capsys.readouterr().err
    assert said.startswith("warning: ")
    assert "\x1b" not in said
    (folder / programs.CLUSTERS).unlink()
    (folder / programs.CLUSTERS).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text('{"eu-central-1/two": "c-2"}')
    with pytest.raises(errors.Failed, match="cannot be read"):
        names.ids(places)


@pytest.mark.parametrize(
    "wrong",
    [
        {"server": "http://127.0.0.1:1"},
        {"server": "https://127.0.0.1:1\n- x"},
        {"authority": "Q0E=\n"},
        {"authority": "Q" * (1 << 18)},
        {"caller": "arn:aws:iam::1:root\x1b"},
    ],
)
def test_what_a_service_tells_of_a_cluster_is_of_its_form_in_a_kubeconfig(wrong: dict[str, str]) -> None:
    right = {"server": "https://[::1]:16443", "authority": "Q0E=", "caller": "arn:aws:iam::123456789012:user/ann"}

    def made(**of: str) -> entry.KubeconfigEntry:
        return entry.KubeconfigEntry("one", "eu-central-1", program=entry.ExecProgram("roadstead", ()), **of)

    entry.check(made(**right))
    entry.check(made(**{**right, "server": "https://ABC.gr7.eu-central-1.eks.amazonaws.com"}))
    with pytest.raises(errors.Invalid, match="of a form that there is not"):
        entry.check(made(**{**right, **wrong}))


def test_reading_waits_for_nobody(tmp_path: Path) -> None:
    """A pipe that nobody writes to: in a process of its own, which would never end."""
    os.mkfifo(tmp_path / "pipe")
    code = (
        "import sys; from pathlib import Path; from roadstead.core.files import left; left.read(Path(sys.argv[1]), 9)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "pipe")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert "no plain file" in done.stderr
