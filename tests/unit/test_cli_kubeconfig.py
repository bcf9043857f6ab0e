"""The kubeconfig: our entries come and go, all else stays as it stands; locks, owners and several files as kubectl."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
import time
from pathlib import Path

import pytest

from roadstead.cli.kubeconfig import entry, files, merge, owner
from roadstead.core import errors

PROGRAM = entry.ExecProgram("/opt/roadstead", ("get-token", "--cluster-name", "dev"), {"AWS_PROFILE": "roadstead"})
DEV = entry.KubeconfigEntry(
    "dev", "eu-central-1", "https://127.0.0.1:30001", "Q0E=", "arn:aws:iam::000000000000:user/ann", PROGRAM
)
NAME = "dev.eu-central-1.eksctl.io"
OTHERS = """\
# mine; keep
apiVersion: v1
kind: Config
clusters:
- name: other   # at work
  cluster: {server: "https://other", insecure-skip-tls-verify: true}
contexts:
- context:
    cluster: other
    user: me
  name: other
current-context: other
users:
- name: me
  user:
    token: 'abc'
"""


def put(text: str, made: entry.KubeconfigEntry = DEV, *, current: bool = True) -> str:
    return merge.put({"f": text}, "f", made, current=current)["f"]


def take(text: str, *servers: str) -> str:
    return merge.take({"f": text}, "dev", "eu-central-1", servers)["f"]


def test_an_empty_file_becomes_a_whole_kubeconfig() -> None:
    assert (
        put("")
        == f"""\
apiVersion: v1
kind: Config
preferences: {{}}
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://127.0.0.1:30001
  name: {NAME}
contexts:
- context:
    cluster: {NAME}
    user: ann@{NAME}
  name: ann@{NAME}
users:
- user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - get-token
      - --cluster-name
      - dev
      command: /opt/roadstead
      env:
      - name: AWS_PROFILE
        value: roadstead
      interactiveMode: Never
      provideClusterInfo: false
  name: ann@{NAME}
current-context: ann@{NAME}
"""
    )


def test_others_stay_as_they_stand_when_ours_come_and_go() -> None:
    with_ours = put(OTHERS)
    assert "# mine; keep" in with_ours
    assert (
        '- name: other   # at work\n  cluster: {server: "https://other", insecure-skip-tls-verify: true}' in with_ours
    )
    assert "token: 'abc'" in with_ours
    assert f"current-context: ann@{NAME}" in with_ours
    assert take(with_ours) == OTHERS.replace("current-context: other", "current-context: ''")
    kept = put(OTHERS, current=False)
    assert "current-context: other" in kept
    assert take(kept) == OTHERS


def test_what_is_there_twice_is_written_once() -> None:
    once = put(OTHERS)
    assert put(once) == once
    moved = entry.KubeconfigEntry("dev", "eu-central-1", "https://127.0.0.1:30002", "Q0E=", DEV.caller, PROGRAM)
    again = put(once, moved)
    assert again == once.replace(":30001", ":30002")


@pytest.mark.parametrize("text", ["clusters: null\ncontexts: []\nusers: []\n", "{}", "apiVersion: v1\nclusters: []\n"])
def test_empty_lists_are_no_trouble(text: str) -> None:
    made = put(text)
    assert made.count(f"name: {NAME}") == 1
    assert "[{" not in made


@pytest.mark.parametrize("text", ["a: [", "- x\n", "clusters: x\n", "clusters: [1]\n", "a: 1\na: 2\n"])
def test_a_damaged_file_is_left_alone(text: str) -> None:
    with pytest.raises(errors.Invalid, match="left as it is"):
        put(text)
    with pytest.raises(errors.Invalid, match="left as it is"):
        take(text)


def test_a_cluster_of_the_same_name_elsewhere_is_not_taken() -> None:
    elsewhere = entry.KubeconfigEntry(
        "dev", "eu-central-1", "https://x.eks.amazonaws.com", "Q0E=", DEV.caller, entry.ExecProgram("aws", ("dev",))
    )
    text = put("", elsewhere)
    assert take(text, "https://127.0.0.1:30001") == text
    assert NAME not in take(text, "https://x.eks.amazonaws.com")
    marked = entry.KubeconfigEntry(
        "dev", "eu-central-1", "https://y", "Q0E=", DEV.caller, entry.ExecProgram("aws", ("dev",), {entry.MARK: "dev"})
    )
    assert NAME not in take(put("", marked))
    assert take(put("", marked).replace("- dev", "- prod")) != ""


def test_entries_are_changed_where_they_are_and_new_ones_go_to_the_default() -> None:
    texts = {"a": OTHERS, "b": put("", current=False)}
    moved = entry.KubeconfigEntry("dev", "eu-central-1", "https://moved", "Q0E=", DEV.caller, PROGRAM)
    after = merge.put(texts, "a", moved, current=True)
    assert "https://moved" in after["b"]
    assert after["a"] == OTHERS.replace("current-context: other", f"current-context: ann@{NAME}")
    gone = merge.take(after, "dev", "eu-central-1", ())
    assert NAME not in gone["a"] + gone["b"]


def test_names_are_eksctls() -> None:
    assert entry.username("arn:aws:sts::1:assumed-role/admin/session") == "session"
    assert entry.username("arn:aws:iam::1:root") == "iam-root-account"


def test_the_files_are_kubectls(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert files.where({}, home, None).default == home / ".kube" / "config"
    assert files.where({"KUBECONFIG": "/x"}, home, "~/mine").default == home / "mine"
    first, second = tmp_path / "1", tmp_path / "2"
    listed = {"KUBECONFIG": f"{first}:{second}::{first}"}
    assert files.where(listed, home, None) == files.KubeconfigFiles((first, second), second)
    first.touch()
    assert files.where(listed, home, None).default == first


def change(path: Path, text: str) -> None:
    files.change(files.KubeconfigFiles((path,), path), lambda texts: dict.fromkeys(texts, text))


def test_a_file_is_written_for_its_owner_alone_and_through_links(tmp_path: Path) -> None:
    real, link = tmp_path / "deep" / "real", tmp_path / "config"
    link.symlink_to(real)
    change(link, "a")
    assert (link.is_symlink(), real.read_text()) == (True, "a")
    real.chmod(0o644)
    change(link, "b")
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert sorted(each.name for each in real.parent.iterdir()) == ["real"]


def test_a_lock_is_waited_for_and_an_old_one_is_taken_away(tmp_path: Path) -> None:
    path, lock = tmp_path / "config", tmp_path / "config.lock"
    lock.touch()
    freed = threading.Timer(0.1, lock.unlink)
    freed.start()
    change(path, "a")
    freed.join()
    assert path.read_text() == "a"
    lock.touch()
    os.utime(lock, (time.time() - 120,) * 2)
    change(path, "b")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config"]


def test_a_lock_that_stays_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_WAIT", 0.05)
    (tmp_path / "config.lock").touch()
    with pytest.raises(errors.Busy, match="another program has locked"):
        change(tmp_path / "config", "a")
    assert (tmp_path / "config.lock").exists()


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config"

    def add(number: int) -> None:
        files.change(
            files.KubeconfigFiles((path,), path),
            lambda texts: {key: f"{text}{number}\n" for key, text in texts.items()},
        )

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text().split()) == [str(number) for number in range(8)]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.Denied, match="cannot be read"):
        files.check(files.KubeconfigFiles((tmp_path,), tmp_path))


def test_root_acts_for_whom_sudo_names_and_nobody_else_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"SUDO_UID": "12345", "SUDO_GID": "23456", "SUDO_HOME": "/home/ann", "HOME": "/root"}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert owner.owner(told) == owner.FileOwner(12345, 23456, Path("/home/ann"), told=True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert owner.owner(told) == owner.FileOwner(1000, os.getegid(), Path("/root"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another")
def test_files_written_for_a_person_are_theirs() -> None:
    # Not below tmp_path, which is closed to others.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "ann"
        home.mkdir()
        os.chown(home, 12345, 23456)
        with owner.acting(owner.FileOwner(12345, 23456, home, told=True)):
            change(home / ".kube" / "config", "a")
            with pytest.raises(errors.Denied, match="cannot be written"):
                change(Path(folder) / "roots", "a")
        made = (home / ".kube" / "config").stat()
        assert (made.st_uid, made.st_gid, os.geteuid()) == (12345, 23456, 0)
