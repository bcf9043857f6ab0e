"""The root tree, the systemd unit, the services' environment and the uninstall plan, as data."""

from __future__ import annotations

import configparser
import dataclasses
import shlex
import stat
import sys
from pathlib import Path, PurePosixPath

import pytest

from roadstead.contract import programs
from roadstead.core import errors, instance
from roadstead.machine import installation
from roadstead.machine.services import ports
from roadstead.machine.supervision import make, see, settings, systemd, tree

IDS = tree.Ids(serve=995, porter=994)
PLACES = instance.Instance.named("t-one", Path("/run/netns/its own"))


def test_the_agents_service_folder() -> None:
    files = tree.files([tree.agent(PLACES, Path("/opt/roadstead/0123/bin/python"))], PLACES)
    assert {str(path): mode for path, (_, mode) in files.items()} == {
        "agent/run": 0o755,
        "agent/notification-fd": 0o644,
        "agent/log/run": 0o755,
    }
    run, _ = files[PurePosixPath("agent/run")]
    assert run.startswith("#!/bin/sh\nexec 2>&1\n")
    words = shlex.split(run.splitlines()[-1])
    assert words[:3] == ["exec", "env", "-i"]
    assert words[-11:] == [
        "/opt/roadstead/0123/bin/python",
        "-m",
        "roadstead.agent.main",
        "--instance",
        "t-one",
        "--machine-netns",
        "/run/netns/its own",
        "--engines",
        "/var/cache/roadstead",
        "--engines-user",
        "roadstead-engines",
    ]
    assert "ROADSTEAD_NOTIFY_FD=3" in words
    assert files[PurePosixPath("agent/notification-fd")][0] == "3\n"
    assert files[PurePosixPath("agent/log/run")][0].endswith(" T /var/log/roadstead/t-one/agent\n")


def test_a_service_of_a_user_is_run_as_that_user_and_its_log_is_roots() -> None:
    service = tree.TreeService("serve", ("/bin/serve", "a b"), {"X": "1 2"}, user="roadstead", notifies=False)
    files = tree.files([service], PLACES)
    for path, begins in (("serve/run", "exec s6-setuidgid roadstead "), ("serve/log/run", "exec s6-log ")):
        lines = files[PurePosixPath(path)][0].splitlines()
        assert lines[-1].startswith(begins), lines
        assert "umask 077" in lines
    words = shlex.split(files[PurePosixPath("serve/run")][0].splitlines()[-1])
    assert "X=1 2" in words
    assert words[-2:] == ["/bin/serve", "a b"]
    assert not any("NOTIFY" in word for word in words)
    assert PurePosixPath("serve/notification-fd") not in files


def _words(service: tree.TreeService) -> list[str]:
    return shlex.split(tree.files([service], PLACES)[PurePosixPath(service.name) / "run"][0].splitlines()[-1])


def test_serve_and_porter_are_run_without_root_where_the_instance_is() -> None:
    kept = settings.TreeSettings(port=5000, advertise_address="10.1.2.3")
    agent, serve, second, porter, supplier = tree.services(PLACES, Path("/p"), kept, IDS)
    assert agent.user is None
    assert " ".join(agent.command[5:]) == (
        "--machine-netns /run/netns/its own --allow-uid 995 --listener-uid 994 --engines /var/cache/roadstead "
        "--engines-user roadstead-engines --publish-address 10.1.2.3"
    )
    users = (
        (serve, "roadstead"),
        (porter, "roadstead-porter"),
        (second, "roadstead-porter"),
        (supplier, "roadstead-engines"),
    )
    for service, user in users:
        words = _words(service)
        # Into the namespace as root, and only then as the user.
        assert words[:5] == ["exec", "nsenter", "--net=/run/netns/its own", "--", "s6-setuidgid"]
        assert words[5:8] == [user, "env", "-i"]
        assert service.notifies
    state = "/var/lib/roadstead/t-one"
    assert " ".join(serve.command[1:]) == (
        f"-m roadstead.serve.main --instance t-one --state {state}/serve --address 127.0.0.1 --port 5000 "
        "--region eu-central-1 --agent /run/roadstead/t-one/agent.sock --engines /var/cache/roadstead "
        f"--supplier /run/roadstead/t-one/supplier/socket --sections {state}/porter --porter-uid 994 "
        "--advertise-address 10.1.2.3"
    )
    assert "ROADSTEAD_CACHE=/var/cache/roadstead" in _words(serve)
    health = "/run/roadstead/t-one/porter"
    for one, own, peer in ((porter, "porter", "porter-2"), (second, "porter-2", "porter")):
        assert one.name == own
        assert " ".join(one.command[1:]) == (
            f"-m roadstead.porter.main --instance t-one --sections {state}/porter "
            f"--health {health}/{own}.sock --peer {health}/{peer}.sock"
        )
        assert (one.folders, one.rooms) == (((Path(health), 0o700),), ())
    modes = {str(place): mode for place, mode in serve.folders}
    assert modes == {f"{state}/serve": 0o700}
    # What serve makes there is porter's to read.
    assert serve.rooms == ((Path(f"{state}/porter"), "roadstead-porter"),)


def test_services_are_waited_for_in_an_order_in_which_logins_go_on() -> None:
    """The second porter is there before the first is restarted: an earlier release had one. All are shown."""
    waited = [one.name for one in tree.services(PLACES, Path("/p"), settings.TreeSettings(), IDS)]
    assert waited.index("porter-2") < waited.index("porter")
    assert sorted(waited) == sorted(tree.NAMES)


def test_a_setting_changes_the_services_it_concerns(tmp_path: Path) -> None:
    def write(kept: settings.TreeSettings) -> frozenset[str]:
        return make.write(tmp_path, tree.files(tree.services(PLACES, Path("/p"), kept, IDS), PLACES))

    assert len(write(settings.TreeSettings())) == 2 * len(tree.NAMES)
    assert write(settings.TreeSettings(port=5000)) == {"serve"}
    assert write(settings.TreeSettings(port=5000, endpoint_ports="30000-30009")) == {"serve", "agent"}
    assert write(settings.TreeSettings(port=5000, endpoint_ports="30000-30009", machine_ports="80")) == {"agent"}


def test_whose_users_nodes_have_is_roots_to_decide() -> None:
    """Who has the agent's socket, or serve's files, cannot say it."""
    plain, asked = settings.TreeSettings(), settings.merged(settings.TreeSettings(), node_users="machine")
    agents = [tree.services(PLACES, Path("/p"), each, IDS)[0].command for each in (plain, asked)]
    assert agents[1] == (*agents[0], "--node-users", "machine")
    assert agents[0] == tree.services(PLACES, Path("/p"), settings.merged(asked, node_users="own"), IDS)[0].command


def test_settings_are_kept_until_others_are_asked_for(tmp_path: Path) -> None:
    places = dataclasses.replace(PLACES, state=tmp_path / "state")
    assert settings.read(places) == settings.TreeSettings()
    wanted = settings.merged(settings.TreeSettings(), port=5000, address=None, region="us-east-1")
    assert wanted == settings.TreeSettings(port=5000, region="us-east-1")
    settings.write(places, wanted)
    assert settings.read(places) == wanted
    assert stat.S_IMODE((places.state / programs.SETTINGS).stat().st_mode) == 0o644
    assert settings.merged(settings.read(places), address="10.0.0.1") == settings.TreeSettings(
        port=5000, region="us-east-1", address="10.0.0.1"
    )
    (places.state / programs.SETTINGS).write_text('{"prot": 1}')
    with pytest.raises(errors.Failed, match="is damaged"):
        settings.read(places)
    settings.write(places, None)
    assert not settings.exist(places)


@pytest.mark.parametrize("flag", ["address", "advertise_address"])
def test_an_address_is_an_ip_address(flag: str) -> None:
    with pytest.raises(errors.Invalid, match=f"--{flag.replace('_', '-')} localhost: an IP address"):
        settings.merged(settings.TreeSettings(), **{flag: "localhost"})


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("127.0.0.1", "http://127.0.0.1:4566"),
        ("::1", "http://[::1]:4566"),
        ("0.0.0.0", "https://127.0.0.1:4566"),
        ("10.0.0.1", "https://10.0.0.1:4566"),
    ],
)
def test_the_endpoint_is_plain_on_loopback_only(address: str, endpoint: str) -> None:
    assert settings.TreeSettings(address=address).endpoint == endpoint


_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
_REST = "00000000:00000000 00:00000000 00000000   995        0"


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        (f"0: 0100007F:11D6 00000000:0000 0A {_REST} 77 1 0", True),
        (f"0: 00000000:11D6 00000000:0000 0A {_REST} 77 1 0", True),
        (f"0: 00000000000000000000000000000000:11D6 00000000000000000000000000000000:0000 0A {_REST} 77 1 0", True),
        (f"0: 0000000000000000FFFF00000100007F:11D6 00000000000000000000000000000000:0000 0A {_REST} 77 1 0", True),
        (f"0: 0A00000A:11D6 00000000:0000 0A {_REST} 77 1 0", False),
        (f"0: 00000000000000000000000001000000:11D6 00000000000000000000000000000000:0000 0A {_REST} 77 1 0", False),
        (f"0: 0100007F:11D7 00000000:0000 0A {_REST} 77 1 0", False),
        (f"0: 0100007F:11D6 0100007F:9999 01 {_REST} 77 1 0", False),
    ],
)
def test_who_listens_where_is_read_from_the_kernels_table(line: str, taken: bool) -> None:
    assert ports.inodes(_HEAD + line + "\n", "127.0.0.1", 4566) == (frozenset({77}) if taken else frozenset())


def test_the_main_instance_and_another_never_meet() -> None:
    main = tree.files([tree.agent(instance.Instance.named("main"), Path("/p"))], instance.Instance.named("main"))
    assert not any("t-one" in content for content, _ in main.values())
    assert tree.folder(PLACES) == Path("/run/roadstead/t-one/tree")


def test_writing_a_tree_names_what_changed(tmp_path: Path) -> None:
    service = tree.agent(PLACES, Path("/p"))
    assert make.write(tmp_path, tree.files([service], PLACES)) == {"agent", "agent/log"}
    assert make.write(tmp_path, tree.files([service], PLACES)) == frozenset()
    newer = dataclasses.replace(service, command=("/q",))
    assert make.write(tmp_path, tree.files([newer], PLACES)) == {"agent"}
    assert [path.name for path in tmp_path.rglob("*") if path.name.startswith(".")] == []
    (tmp_path / "agent" / "run").chmod(0o600)
    assert make.write(tmp_path, tree.files([newer], PLACES)) == {"agent"}


def test_a_tree_that_was_never_made_runs_nothing(tmp_path: Path) -> None:
    assert see.tree(tmp_path / "tree") == see.RunningTree(None, {})


def _parsed(text: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(strict=True, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(text)
    return parsed


def test_the_systemd_unit() -> None:
    parsed = _parsed(systemd.unit(Path("/opt/roadstead/0123/bin/python"), "main"))
    service = parsed["Service"]
    assert (
        service["ExecStart"] == "/opt/roadstead/0123/bin/python -m roadstead.machine.supervision.boot --instance main"
    )
    # The hosts outlive the service, and the service outlives everything.
    assert service["KillMode"] == "process"
    assert service["Restart"] == "always"
    assert parsed["Unit"]["StartLimitIntervalSec"] == "0"
    assert parsed["Install"]["WantedBy"] == "multi-user.target"
    # With children in its cgroup it could not be started again before systemd 254.
    assert "Delegate" not in service
    assert parsed["Unit"]["Wants"] == instance.HOSTS_SERVICE
    assert instance.HOSTS_SERVICE in parsed["Unit"]["After"].split()


def test_the_systemd_unit_of_hosts() -> None:
    service = _parsed(systemd.hosts())["Service"]
    assert service["Delegate"] == "yes"
    # One pod that takes too much memory is no end of all hosts, and stopping the unit is none of any.
    assert (service["OOMPolicy"], service["KillMode"], service["Restart"]) == ("continue", "process", "no")
    assert service["TasksMax"] == "infinity"
    files = systemd.files(Path("/opt/roadstead/0123/bin/python"), "main")
    assert [path.name for path in files] == ["roadstead-hosts.service", "roadstead.service"]


def _python(path: str, *version: int, reachable: bool = True) -> installation.Interpreter:
    return installation.Interpreter(Path(path), version, reachable)


def test_services_run_on_the_first_python_that_everyone_may_run() -> None:
    own, system = _python("/home/a/python", 3, 13, 1, reachable=False), _python("/usr/bin/python3", 3, 11, 2)
    assert installation.choose([own, system]) == system
    with pytest.raises(errors.Failed, match=r"/home/a/python: 3\.13\.1, not for all users.*/usr/bin/python3: 3\.9"):
        installation.choose([own, _python("/usr/bin/python3", 3, 9)])
    with pytest.raises(errors.Failed, match="/usr/bin/python3: does not run"):
        installation.choose([_python("/usr/bin/python3")])


def _checkout(folder: Path) -> Path:
    for name, text in (
        ("uv.lock", "lock"),
        ("roadstead", "#!/bin/sh"),
        ("src/roadstead/a.py", "a"),
        ("src/roadstead/__pycache__/a.pyc", "x"),
        ("engines/pause/main.go", "m"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_environments_name_changes_with_everything_in_it(tmp_path: Path) -> None:
    place, python = _checkout(tmp_path), _python("/usr/bin/python3.11", 3, 11, 2)
    assert [name for name, _ in installation.files(place)] == [
        "uv.lock",
        "roadstead/a.py",
        "roadstead/_engines/pause/main.go",
    ]
    names = [installation.digest(place, python)]
    assert installation.digest(place, python) == names[0]
    (place / "src/roadstead/__pycache__/a.pyc").write_text("y")
    assert installation.digest(place, python) == names[0]
    for change in ("uv.lock", "src/roadstead/a.py", "engines/pause/main.go"):
        (place / change).write_text("other")
        names.append(installation.digest(place, python))
    (place / "engines/pause/main.go").rename(place / "engines/pause/other.go")
    names.append(installation.digest(place, python))
    names.append(installation.digest(place, _python("/usr/bin/python3.11", 3, 11, 9)))
    assert len(set(names)) == len(names)


def test_code_that_does_not_compile_is_told_and_not_installed(tmp_path: Path) -> None:
    place, partial = _checkout(tmp_path / "checkout"), tmp_path / "partial"
    (place / "src/roadstead/a.py").write_text("<<<<<<< ours\n")
    (partial / "lib/python3.11/site-packages").mkdir(parents=True)
    (partial / "bin").mkdir()
    (partial / "bin/python").symlink_to(sys.executable)
    with pytest.raises(errors.Failed, match=r"environment could not be made: .*a\.py"):
        installation.copy(place, partial)


def test_a_place_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Failed, match="no checkout"):
        installation.checkout({"ROADSTEAD_CHECKOUT": str(tmp_path)})
    assert installation.checkout({"ROADSTEAD_CHECKOUT": str(_checkout(tmp_path))}) == tmp_path


def test_environments_in_use_stay(tmp_path: Path) -> None:
    old, used = tmp_path / ("a" * 16), tmp_path / ("b" * 16)
    others = [tmp_path / "mine", tmp_path / ".lock"]
    for place in (old, used, *others):
        place.mkdir()
    assert installation.prune([f"exec {used}/bin/python -m roadstead.agent.main"], tmp_path) == (old,)
    assert sorted(tmp_path.iterdir()) == sorted([used, *others])


def test_a_folder_that_others_may_not_enter_is_not_open_to_all(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir(mode=0o755)
    tmp_path.chmod(0o700)
    assert not installation.open_to_all(inner)
    assert installation.open_to_all(Path("/usr/bin"))
    assert not installation.open_to_all(tmp_path / "absent")
