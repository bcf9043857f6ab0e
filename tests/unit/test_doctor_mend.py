"""What the doctor would mend, and mending in a folder that stands for the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roadstead.core import errors
from roadstead.machine.doctor import distributions, findings, mend

if TYPE_CHECKING:
    from pathlib import Path

    from roadstead.machine.doctor import facts

INSTANCES = "fs.inotify.max_user_instances"


def finding(name: str, amend: findings.Package | findings.Setting | None) -> findings.Finding:
    return findings.Finding(name, "warning", "title", "Meaning.", "Remedy.", amend)


@pytest.fixture
def places(tmp_path: Path) -> mend.MendPlaces:
    """A machine in a folder: two sysctls, nothing else."""
    tree = mend.MendPlaces(
        proc_sys=tmp_path / "sys",
        conf=tmp_path / "sysctl.d" / "60-roadstead.conf",
        record=tmp_path / "lib" / "before.json",
        links=tmp_path / "net",
    )
    for name, value in ((INSTANCES, 128), (mend.FORWARDING, 0)):
        path = tree.proc_sys / name.replace(".", "/")
        path.parent.mkdir(parents=True)
        path.write_text(f"{value}\n")
    return tree


def value(places: mend.MendPlaces, name: str) -> str:
    return (places.proc_sys / name.replace(".", "/")).read_text().strip()


def test_plan_names_each_package_and_setting_once() -> None:
    found = [
        finding("programs/s6-svc", findings.Package("s6")),
        finding("programs/s6-log", findings.Package("s6")),
        finding("programs/runc", findings.Package("runc")),
        finding("machine/memory", None),
        finding("settings/a", findings.Setting(INSTANCES, 8192)),
    ]
    install, settings = mend.plan(found, "debian")
    assert isinstance(install, mend.Install)
    assert install.packages == ("runc", "s6")
    assert [command[3] for command in install.commands] == ["update", "install"]
    assert settings == mend.Set(((INSTANCES, 8192),))
    assert mend.explain(install) == "install runc, s6"
    assert mend.explain(settings) == f"set {INSTANCES} = 8192"


def test_plan_of_nothing_is_nothing() -> None:
    assert mend.plan([finding("machine/memory", None)], "debian") == ()


@pytest.mark.parametrize("family", list(distributions.PACKAGES))
def test_no_package_manager_asks(family: facts.Family) -> None:
    last = distributions.install(family, ("s6", "runc"))[-1]
    assert last[-2:] == ("s6", "runc")
    quiet = {"--yes", "--assumeyes", "--noconfirm", "--non-interactive"}
    assert family == "alpine" or quiet & set(last)


def test_settings_are_set_written_and_given_back(places: mend.MendPlaces) -> None:
    steps = (mend.Set(((INSTANCES, 8192), (mend.FORWARDING, 1))),)
    mend.make(steps, places)
    assert value(places, INSTANCES) == "8192"
    assert places.conf.read_text().splitlines()[1:] == [f"{INSTANCES} = 8192"]
    assert mend.restore(places) == (f"{INSTANCES} is 128 again.", f"{mend.FORWARDING} is 0 again.")
    assert (value(places, INSTANCES), value(places, mend.FORWARDING)) == ("128", "0")
    assert not places.conf.exists()
    assert not places.record.exists()
    assert mend.restore(places) == ()


def test_packages_stay(places: mend.MendPlaces) -> None:
    places.record.parent.mkdir()
    places.record.write_text('{"sysctls": {}, "packages": ["s6"]}')
    assert mend.restore(places) == ("Packages that were installed for Roadstead stay: s6.",)


def test_mending_twice_keeps_the_first_values(places: mend.MendPlaces) -> None:
    mend.make((mend.Set(((INSTANCES, 1024),)),), places)
    mend.make((mend.Set(((INSTANCES, 8192),)), mend.Set(((mend.FORWARDING, 1),))), places)
    assert places.conf.read_text().splitlines()[1:] == [f"{INSTANCES} = 8192"]
    mend.restore(places)
    assert value(places, INSTANCES) == "128"


def test_what_is_as_it_was_already_is_said_to_be_so(places: mend.MendPlaces) -> None:
    mend.make((mend.Set(((mend.FORWARDING, 1),)),), places)
    (places.proc_sys / mend.FORWARDING.replace(".", "/")).write_text("0\n")
    assert mend.restore(places) == (f"{mend.FORWARDING} is 0 again.",)


def test_a_value_that_someone_else_set_stays(places: mend.MendPlaces) -> None:
    mend.make((mend.Set(((INSTANCES, 8192),)),), places)
    (places.proc_sys / INSTANCES.replace(".", "/")).write_text("9999\n")
    (told,) = mend.restore(places)
    assert told.startswith(f"{INSTANCES} stays 9999")
    assert value(places, INSTANCES) == "9999"


def test_forwarding_stays_where_bridges_need_it(places: mend.MendPlaces) -> None:
    mend.make((mend.Set(((mend.FORWARDING, 1),)),), places)
    (places.links / "docker0" / "bridge").mkdir(parents=True)
    (told,) = mend.restore(places)
    assert "bridges" in told
    assert value(places, mend.FORWARDING) == "1"


def test_what_cannot_be_set_is_named_and_the_rest_is_set(places: mend.MendPlaces) -> None:
    path = places.proc_sys / INSTANCES.replace(".", "/")
    steps = (mend.Set((("kernel.no.such", 1),)), mend.Set(((mend.FORWARDING, 1),)))
    with pytest.raises(errors.Failed, match=r"kernel\.no\.such cannot be set"):
        mend.make(steps, places)
    assert value(places, mend.FORWARDING) == "1"
    assert path.read_text() == "128\n"


def test_a_record_that_is_no_record(places: mend.MendPlaces) -> None:
    places.record.parent.mkdir()
    places.record.write_text("{")
    with pytest.raises(errors.Failed, match="cannot be understood"):
        mend.restore(places)
    assert places.record.exists()
