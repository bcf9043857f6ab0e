"""The launcher as a program. An environment is anything with the right stamp, so most tests need no network."""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from testkit import waiting

pytestmark = [pytest.mark.live, pytest.mark.machine]

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534


@dataclass(frozen=True)
class Place:
    """A copy of the launcher with a lock file, a cache, and a PATH of its own."""

    checkout: Path
    cache: Path
    programs: Path

    def program(self, name: str, script: str) -> Path:
        path = self.programs / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    def stamped(self, flavour: str = "run", tag: str = "3.11.7-any") -> Path:
        """An environment whose python prints what it was given."""
        text = f"{tag} {flavour}\n".encode() + (self.checkout / "uv.lock").read_bytes()
        name = hashlib.sha256(text).hexdigest()
        place = self.cache / "env" / name
        (place / "bin").mkdir(parents=True)
        python = place / "bin" / "python"
        python.write_text('#!/bin/sh\necho "$0 $@"\nenv\n')
        python.chmod(0o755)
        (place / "stamp").write_text(f"{name}\n")
        return python

    def knows_python(self, found: Path, tag: str = "3.11.7-any") -> None:
        (self.cache / "python").write_text(f"{found}\n/bin/sh\n{tag}\n")

    def run(
        self, *arguments: str, as_nobody: bool = False, launcher: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        words = [str(launcher or self.checkout / "roadstead"), *arguments]
        if as_nobody:
            words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *words]
        env = {"PATH": f"{self.programs}:/usr/bin:/bin", "ROADSTEAD_CACHE": str(self.cache), "HOME": "/home/ann"}
        return subprocess.run(
            words, env={**env, **environment}, capture_output=True, text=True, timeout=60, check=False, cwd="/"
        )


@pytest.fixture
def place() -> Iterator[Place]:
    """In a folder that other users may enter."""
    with tempfile.TemporaryDirectory(prefix="roadstead-launcher-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = Place(folder / "checkout", folder / "cache", folder / "programs")
        for path in (made.checkout, made.cache, made.programs):
            path.mkdir()
        shutil.copy2(ROOT / "roadstead", made.checkout)
        (made.checkout / "uv.lock").write_text("a lock\n")
        yield made


@pytest.fixture
def warm(place: Place) -> Place:
    """Python is known, the environment is there."""
    python = place.program("python3", "#!/bin/sh\necho asked >&2\nexit 9\n")
    place.knows_python(python)
    place.stamped()
    return place


def test_warm_it_asks_nobody_and_passes_everything_on(warm: Place) -> None:
    done = warm.run("engine", "get", "a b", LANGUAGE="xx")
    assert done.returncode == 0, done.stderr
    first, *environment = done.stdout.splitlines()
    assert first.endswith("/bin/python -m roadstead.machine.main engine get a b")
    assert f"PYTHONPATH={warm.checkout}/src" in environment
    assert "LANGUAGE=xx" in environment
    assert done.stderr == ""


def test_through_a_link_it_finds_its_checkout(warm: Place) -> None:
    (warm.programs / "inner").symlink_to("../checkout/roadstead")
    (warm.programs / "rs").symlink_to("inner")
    done = warm.run("--help", launcher=warm.programs / "rs")
    assert f"PYTHONPATH={warm.checkout}/src" in done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("change", ["lock", "python", "flavour", "stamp", "interpreter"])
def test_anything_else_is_another_environment(warm: Place, change: str) -> None:
    """What is not exactly the stamped one is made; here it cannot be, and says so."""
    python = warm.cache / "env"
    match change:
        case "lock":
            (warm.checkout / "uv.lock").write_text("another lock\n")
        case "python":
            warm.knows_python(warm.programs / "python3", tag="3.12.0-any")
        case "stamp":
            next(python.glob("*/stamp")).write_text("0123\n")
        case "interpreter":
            next(python.glob("*/bin/python")).unlink()
    flavour = "dev" if change == "flavour" else "run"
    uv = warm.program("uv", "#!/bin/sh\necho uv says no >&2\nexit 7\n")
    warm.program("id", "#!/bin/sh\necho 1000\n")
    done = warm.run("--help", ROADSTEAD_ENV=flavour, ROADSTEAD_UV=str(uv))
    assert done.returncode == 1
    assert "making the Python environment" in done.stderr
    assert "uv says no" in done.stderr
    assert "Error: " in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_no_python(place: Place) -> None:
    for name in ("readlink", "sha256sum", "mkdir", "mv", "cat", "dash"):
        (place.programs / name).symlink_to(f"/usr/bin/{name}")
    done = place.run("--help", PATH=str(place.programs))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: no python3 is on PATH: Roadstead needs Python 3.11 or newer.")


def test_an_old_python(place: Place) -> None:
    old = place.program("python3", '#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2 && exit 0\nexit 1\n')
    done = place.run("--help", PATH=str(place.programs))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {old} is Python 3.9.2: Roadstead needs Python 3.11 or newer.")


def test_a_newer_python_beside_an_old_one_is_taken(place: Place) -> None:
    place.program("python3", "#!/bin/sh\nexit 1\n")
    place.program("python3.12", "#!/bin/sh\necho /bin/sh\necho 3.12.1-any\n")
    place.stamped(tag="3.12.1-any")
    done = place.run("--help", PATH=f"{place.programs}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert (place.cache / "python").read_text() == f"{place.programs}/python3\n/bin/sh\n3.12.1-any\n"


def test_a_wrong_setting_is_said(warm: Place) -> None:
    assert "use run, dev or peer" in warm.run("--help", ROADSTEAD_ENV="prod").stderr
    assert "give a full path" in warm.run("--help", ROADSTEAD_CACHE="relative").stderr


SUDO = '#!/bin/sh\necho "SUDO $@"\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'


@pytest.mark.parametrize(
    "words",
    [["start"], ["stop"], ["shell", "node-1"], ["doctor", "--fix"], ["engine", "share"], ["uninstall", "--yes"]],
)
def test_it_raises_itself_for_what_needs_root(warm: Place, words: list[str]) -> None:
    warm.program("sudo", SUDO)
    done = warm.run(*words, as_nobody=True, XDG_CACHE_HOME="/home/ann/c", MINE="kept")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"roadstead: '{words[0]}' needs root on this machine: going on with sudo\n"
    raised, first, *environment = done.stdout.splitlines()
    assert raised.startswith("SUDO -E -H -- env ")
    assert first.endswith(f"-m roadstead.machine.main {' '.join(words)}")
    told = dict(line.split("=", 1) for line in environment)
    assert told["ROADSTEAD_USER_HOME"] == "/home/ann"
    assert (told["ROADSTEAD_USER_UID"], told["ROADSTEAD_USER_GID"]) == (str(NOBODY), str(NOBODY))
    assert told["ROADSTEAD_CACHE"] == str(warm.cache)
    assert told["MINE"] == "kept"
    assert "XDG_CACHE_HOME" not in told


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["start", "--help"],
        ["doctor"],
        ["engine", "list"],
        ["create", "cluster", "share"],
        ["completion", "bash"],
        ["kubectl", "logs", "start"],
    ],
)
def test_it_stays_who_it_is_for_the_rest(warm: Place, words: list[str]) -> None:
    warm.program("sudo", SUDO)
    done = warm.run(*words, as_nobody=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "SUDO" not in done.stdout


def test_without_sudo_it_says_what_to_do(warm: Place) -> None:
    for name in ("readlink", "sha256sum", "cat", "id", "setpriv", "dash"):
        (warm.programs / name).symlink_to(f"/usr/bin/{name}")
    done = warm.run("start", as_nobody=True, PATH=str(warm.programs))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: 'roadstead start' needs root, and there is no sudo: run it as root")


SLOW_UV = """#!/bin/sh
echo "$$" >>"{log}"
[ ! -e "$UV_PROJECT_ENVIRONMENT" ] || exit 9
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
printf '#!/bin/sh\\necho made by %s\\n' "$$" >"$UV_PROJECT_ENVIRONMENT/bin/python"
chmod +x "$UV_PROJECT_ENVIRONMENT/bin/python"
echo "$$" >>"{log}.made"
read -r _ <"{gate}"
"""


@pytest.fixture
def gated(place: Place) -> Place:
    """A uv that has made everything, and then waits for a line in `gate`."""
    place.knows_python(place.program("python3", "#!/bin/sh\nexit 9\n"))
    os.mkfifo(place.programs / "gate")
    place.program("uv", SLOW_UV.format(log=place.programs / "log", gate=place.programs / "gate"))
    return place


@contextlib.contextmanager
def _launched(place: Place) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [str(place.checkout / "roadstead"), "--help"],
        env={"PATH": f"{place.programs}:/usr/bin:/bin", "ROADSTEAD_CACHE": str(place.cache)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _open(gate: Path) -> None:
    """Let whoever reads go on; never blocks, since a FIFO opened for both always has a reader."""
    descriptor = os.open(gate, os.O_RDWR)
    os.write(descriptor, b"\n")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and select.select([descriptor], [], [], 0)[0]:
        time.sleep(0.01)
    os.close(descriptor)


def _until_lines(path: Path, count: int) -> list[str]:
    waiting.soon(f"{count} lines in {path}", lambda: path.exists() and len(path.read_text().splitlines()) >= count, 20)
    return path.read_text().splitlines()


def test_of_two_at_once_one_makes_and_the_other_waits(gated: Place) -> None:
    with _launched(gated) as one:
        _until_lines(gated.programs / "log", 1)
        with _launched(gated) as two:
            assert two.stderr is not None
            assert "waiting for another roadstead" in two.stderr.readline()
            _open(gated.programs / "gate")
            told = [process.communicate(timeout=20)[0] for process in (one, two)]
    assert told[0] == told[1] != ""
    assert len((gated.programs / "log").read_text().splitlines()) == 1


def test_what_a_killed_one_left_is_not_used(gated: Place) -> None:
    with _launched(gated):
        (first,) = _until_lines(gated.programs / "log", 1)
        _until_lines(gated.programs / "log.made", 1)
    assert next(gated.cache.glob("env/*/bin/python")).exists()
    with _launched(gated) as again:
        _, second = _until_lines(gated.programs / "log", 2)
        _open(gated.programs / "gate")
        assert again.communicate(timeout=20)[0] == f"made by {second}\n"
    assert first != second


def test_help_imports_nothing_heavy() -> None:
    """A figure of 400 ms allows for Python and click, not for a network stack."""
    ask = (
        "import sys; from roadstead.machine import main; main.run(['--help']);"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    python = subprocess.run(
        [ROOT / "roadstead", "--print-python"], capture_output=True, text=True, check=True, timeout=600
    ).stdout.strip()
    done = subprocess.run(
        [python, "-c", ask],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "click" in loaded
    assert not loaded & {"aiohttp", "asyncio", "msgspec", "pyroute2", "ssl"}
