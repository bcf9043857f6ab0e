"""A node's root on its disk: what it is given, what stays its own, and what is never followed."""

from __future__ import annotations

import dataclasses
import datetime
import io
import os
import zoneinfo
from pathlib import Path

import pytest
from tests.unit import test_hosts_bundle as hosts

from roadstead.agent.hosts import folders, see, tree, wanted
from roadstead.contract.messages import desired
from roadstead.core import errors
from roadstead.core.instance import Instance


def node(tmp_path: Path, **more: object) -> wanted.WantedHost:
    """A node whose places are below `tmp_path`; its disk is there."""
    instance = Instance("t", tmp_path / "state", tmp_path / "run", tmp_path / "log")
    places = instance.host("node-1")
    places.disk.mkdir(parents=True, exist_ok=True)
    return dataclasses.replace(hosts.asked(hosts.NODE, hosts.V1), places=places, **more)  # type: ignore[arg-type]


def made(tmp_path: Path) -> Path:
    """The root of a node that was laid out."""
    asked = node(tmp_path)
    tree.furnish(asked)
    tree.make(tree.plan(asked, hosts.V1), asked.root)
    return asked.root


def test_a_node_has_what_distributions_have(tmp_path: Path) -> None:
    root, disk = made(tmp_path), node(tmp_path).places.disk
    for name in ("etc/kubernetes", "etc/cni/net.d", "etc/sysctl.d", "etc/ssl/certs", "media", "boot"):
        assert (root / name).is_dir(), name
    for name in ("passwd", "group", "hosts", "hostname", "resolv.conf", "nsswitch.conf", "machine-id", "localtime"):
        assert (root / "etc" / name).is_file(), name
    assert (root / "etc/os-release").read_text() == hosts.V1.os_release
    for name in ("opt", "mnt", "srv", "home", "root"):
        assert (disk / (root / name).readlink().relative_to("var")).is_dir(), name
    # As seen in the node, where the disk is /var.
    assert [os.path.normpath(f"/var/{(disk / name).readlink()}") for name in ("run", "lock")] == ["/run", "/run/lock"]
    flex = "kubernetes/kubelet-plugins/volume/exec"
    led = (disk / "usrlibexec" / flex).readlink()
    assert os.path.normpath(Path("/usr/libexec", flex).parent / led) == "/var/lib/kubelet/plugins/volume"


def test_its_clock_is_utc(tmp_path: Path) -> None:
    zone = zoneinfo.ZoneInfo.from_file(io.BytesIO((made(tmp_path) / "etc/localtime").read_bytes()))
    for year in (1900, 2026, 2200):
        assert datetime.datetime(year, 7, 1, tzinfo=zone).tzname() == "UTC"
        assert datetime.datetime(year, 7, 1, tzinfo=zone).utcoffset() == datetime.timedelta()


def test_what_a_node_made_of_its_files_stays_but_for_what_it_is(tmp_path: Path) -> None:
    root = made(tmp_path)
    (root / "etc/passwd").write_text("somebody:x:1:1::/:/bin/sh\n")
    (root / "etc/localtime").unlink()
    (root / "etc/localtime").symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    (root / "etc/kubernetes").rmdir()
    (root / "etc/kubernetes").symlink_to("/data/kubernetes")
    (root / "data").mkdir()
    (root / "data/kept").touch()
    identity = (root / "etc/machine-id").read_text()
    for name in ("machine-id", "hosts", "hostname"):
        (root / "etc" / name).unlink()
    (root / "etc/hosts").mkdir()
    (root / "etc/hosts/within").touch()
    (root / "etc/.hosts.new").mkdir()
    (root / "etc/group").unlink()
    made(tmp_path)
    assert (root / "etc/passwd").read_text().startswith("somebody")
    assert (root / "etc/localtime").readlink() == Path("/usr/share/zoneinfo/Asia/Tokyo")
    assert (root / "etc/kubernetes").readlink() == Path("/data/kubernetes")
    assert (root / "data/kept").exists()
    assert (root / "etc/machine-id").read_text() == identity
    assert "192.168.0.10 node-1" in (root / "etc/hosts").read_text()
    assert "root:x:0:" in (root / "etc/group").read_text(), "what is missing comes back"


@pytest.mark.parametrize("planted", [".root", ".root/etc", ".root/etc/cni", ".root/etc/ssl", "run", "usrlibexec"])
def test_no_link_of_a_nodes_is_followed(tmp_path: Path, planted: str) -> None:
    made(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    place = node(tmp_path).places.disk / planted
    folders.remove(place)
    place.symlink_to(outside)
    root = made(tmp_path)
    assert list(outside.iterdir()) == []
    assert (root / "etc/hosts").is_file()


def test_a_running_nodes_etc_that_is_a_link_is_told_and_not_followed(tmp_path: Path) -> None:
    root = made(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    folders.remove(root / "etc")
    (root / "etc").symlink_to(outside)
    with pytest.raises(errors.Failed, match="node-1: its names cannot be written"):
        tree.rename(node(tmp_path))
    assert list(outside.iterdir()) == []


def test_the_disk_of_an_earlier_release_keeps_its_data_and_var_run_becomes_a_link(tmp_path: Path) -> None:
    disk = node(tmp_path).places.disk
    for name in ("opt/volumes", "lib/kubelet", "run/netns"):
        (disk / name).mkdir(parents=True)
        (disk / name / "kept").touch()
    made(tmp_path)
    assert (disk / "run").readlink() == Path("../run")
    assert (disk / "opt/volumes/kept").exists()
    assert (disk / "lib/kubelet/kept").exists()


def test_a_node_of_an_earlier_release_is_told_names_in_the_root_that_it_has(tmp_path: Path) -> None:
    asked = node(tmp_path)
    (asked.places.root / "etc").mkdir(parents=True)
    names = {"10.0.0.9": ("registry",)}
    host = desired.Host(**{f: getattr(asked.host, f) for f in asked.host.__struct_fields__} | {"names": names})
    tree.rename(node(tmp_path, host=host))
    assert "10.0.0.9 registry\n" in (asked.places.root / "etc/hosts").read_text()
    assert not asked.places.node_root.exists()


def test_usr_local_stays_the_machines_where_a_program_is_in_it_that_nodes_run() -> None:
    assert see.own_usr(["/usr/sbin/runc", None]) == see.OWN_USR
    assert see.own_usr(["/usr/local/sbin/runc", "/usr/bin/mount"]) == ("libexec",)
