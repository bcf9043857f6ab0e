"""A unit to the files of its s6 service folder. Pure: no I/O.

The folder is seen in the host as `/run/service/UNIT`. It belongs to root; only `supervise`, `event` and `state` (and
the same of `log`) belong to the host's user, so that an unprivileged `s6-supervise` can work and nothing that runs in
the host can change what is run.

Restarts. `s6-supervise` starts a service again when its `finish` has ended, but not within one second after the last
start was notified as ready (s6 2.11, s6-supervise.c: `nextstart`). So `run` notifies as its first act wherever the
unit itself does not, and the growing pause is waited for in `run`, where a stop ends it at once:

    finish   counts deaths in a row (a row ends after 60 s of life, or with a stop that was asked for) and records
             exit code, signal, deaths, deaths in a row and the next pause in `state/record`
    run      reads the pause: none the first time, then 100 ms, doubling to 30 s; none either after a start that was
             asked for (the agent then makes the file `asked`)
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

from roadstead.contract import layout
from roadstead.contract.messages import desired
from roadstead.core import errors
from roadstead.core import program as programs

SYSTEM: dict[str, tuple[str, ...]] = {"haproxy": ("/usr/sbin/haproxy", "-db")}
"""Programs of the machine that hosts may run, with the arguments that keep them in the foreground."""

BACKOFF_FIRST = 100
BACKOFF_MOST = 30_000
"""Milliseconds."""
HEALTHY_AFTER = 60
"""Seconds of life after which a death is the first of a new row."""
LOG_FILES = 5
LOG_SIZE = 5 * 1024 * 1024
"""Rotated files kept, and their size in bytes."""


@dataclass(frozen=True)
class File:
    """A file of the service folder; `owner` is root for all of them."""

    content: bytes
    mode: int


@dataclass(frozen=True)
class Folder:
    """A folder inside the service folder."""

    name: str
    mode: int
    owner: Literal["root", "user"]


FOLDERS = (
    Folder("supervise", 0o700, "user"),
    Folder("event", 0o700, "user"),
    Folder("state", 0o700, "user"),
    Folder("log", 0o755, "root"),
    Folder("log/supervise", 0o700, "user"),
    Folder("log/event", 0o700, "user"),
)
"""Parents first. `event` need not be open to others: the agent is woken by the status file."""


def command(unit: desired.Unit) -> tuple[str, ...]:
    """The exact argv of a unit.

    Flags are sorted by name, so that an equal definition is an equal command; a tuple keeps its order. One-letter
    names become `-f VALUE` (with an empty value `-f` alone), others `--name=VALUE`.
    Raises NotFound for a program that is not in `SYSTEM`.
    """
    argv = list(program(unit.engine, unit.component))
    if unit.subcommand is not None:
        argv.append(unit.subcommand)
    for name, value in sorted(unit.flags.items()):
        for one in value if isinstance(value, tuple) else (value,):
            if len(name) > 1:
                argv.append(f"--{name}={one}")
            else:
                argv += [f"-{name}", one] if one else [f"-{name}"]
    return tuple(argv)


def first(unit_id: str, unit: desired.Unit) -> tuple[str, ...]:
    """The exact argv of what fills a folder before the first start; empty when nothing does."""
    if unit.first is None:
        return ()
    flags = {**unit.first.flags, "data-dir": f"{_filled(unit_id, unit.first)}.new"}
    return (
        *program(unit.engine, unit.first.component),
        *unit.first.arguments,
        *(f"--{name}={value}" for name, value in sorted(flags.items())),
    )


def _filled(unit_id: str, of: desired.First) -> str:
    return f"{layout.state(unit_id)}/{of.folder}"


def program(engine: str, component: str) -> tuple[str, ...]:
    """Where the program is in the host, with its fixed arguments. Raises NotFound."""
    if engine != layout.SYSTEM:
        return (f"{layout.engine(engine)}/{component}",)
    if component not in SYSTEM:
        raise errors.NotFound(
            f"{component} is not one of the programs of the machine that hosts may run ({', '.join(sorted(SYSTEM))})",
            component=component,
        )
    return SYSTEM[component]


def environment(unit_id: str, unit: desired.Unit) -> dict[str, str]:
    """The whole environment of the process: nothing of PID 1's is inherited."""
    return {"HOME": layout.state(unit_id), "PATH": programs.PATH, **dict(sorted(unit.environment.items()))}


def notification(unit: desired.Unit) -> int:
    """The descriptor that s6 listens to. Raises Invalid for one that a shell cannot hand on."""
    if not isinstance(unit.ready, desired.NotifyProbe):
        return 3
    if not 3 <= unit.ready.descriptor <= 9:
        raise errors.Invalid(
            f"notification descriptor {unit.ready.descriptor}: use 3 to 9", descriptor=unit.ready.descriptor
        )
    return unit.ready.descriptor


def render(unit_id: str, unit: desired.Unit, *, root: bool = False) -> dict[str, File]:
    """All files of the service folder, by their path inside it. `root`: of a node. Raises NotFound and Invalid."""
    texts = {
        "notification-fd": f"{notification(unit)}\n",
        "down-signal": f"SIG{unit.stop_signal}\n",
        # At least 1: zero would let a process that ignores the signal live for ever.
        "timeout-kill": f"{max(1, round(unit.stop_timeout * 1000))}\n",
        "timeout-finish": "10000\n",
        "max-death-tally": "0\n",
    }
    if not unit.run:
        texts["down"] = ""
    scripts = {"run": _run(unit_id, unit, root=root), "finish": _FINISH, "log/run": _log(unit_id)}
    return {
        **{name: File(text.encode(), 0o644) for name, text in texts.items()},
        **{name: File(text.encode(), 0o755) for name, text in scripts.items()},
    }


OWN_FILES = frozenset(
    {"notification-fd", "down-signal", "timeout-kill", "timeout-finish", "max-death-tally", "down", "run", "finish"}
)
"""Every name `render` may give, without `log/run`: what is not rendered any more is removed."""


def _run(unit_id: str, unit: desired.Unit, *, root: bool) -> str:
    descriptor = notification(unit)
    words = [f"{name}={value}" for name, value in environment(unit_id, unit).items()]
    if unit.environment_file is not None:
        # Exported by a shell, as all of the machine may read the arguments of `env`.
        words += ["/bin/sh", "-c", _EXPORT, f"{layout.files(unit_id)}/{unit.environment_file}"]
    words += command(unit)
    notify = "" if isinstance(unit.ready, desired.NotifyProbe) else f"echo >&{descriptor}\nexec {descriptor}>&-\n"
    return (
        _RUN.replace("@DESCRIPTOR@", str(descriptor))
        .replace("@NOTIFY@", notify)
        # containerd hands its own on to the roots of containers, whose users must be able to enter them.
        .replace("@UMASK@", "022" if root else "077")
        + _fill(unit_id, unit)
        + f"exec {_clean(words)}\n"
    )


def _clean(words: list[str]) -> str:
    """A command with nothing in its environment but what is among its words."""
    return "env -i" + "".join(f" \\\n  {shlex.quote(word)}" for word in words)


def _fill(unit_id: str, unit: desired.Unit) -> str:
    """Of `run`: the folder is filled beside its place and renamed, as long as there is nothing in it."""
    if unit.first is None:
        return ""
    words = [f"{name}={value}" for name, value in environment(unit_id, unit).items()] + list(first(unit_id, unit))
    return _FIRST.replace("@FOLDER@", shlex.quote(_filled(unit_id, unit.first))).replace("@COMMAND@", _clean(words))


def _log(unit_id: str) -> str:
    return (
        f"#!/bin/sh\nPATH={programs.PATH}\nexport PATH\n"
        f"exec s6-log n{LOG_FILES} s{LOG_SIZE} T {shlex.quote(f'/var/log/units/{unit_id}')}\n"
    )


# Builtins of the shell only, so that a start costs no process. `wait` ends with a trapped signal: a stop does not
# wait for the pause, and leaves no sleep behind. Reload signals mean nothing yet, and must not end the pause.
_RUN = f"""#!/bin/sh
exec 2>&1
umask @UMASK@
PATH={programs.PATH}
@NOTIFY@pause=0
[ ! -f state/record ] || [ asked -nt state/record ] || read -r _ _ _ _ pause _ <state/record
case $pause in
'' | 0 | *[!0-9]*) ;;
*)
  : >state/waiting
  trap 'kill $! 2>/dev/null; exit 0' TERM INT QUIT
  trap '' HUP USR1 USR2
  rest=$((pause % 1000 + 1000))
  sleep "$((pause / 1000)).${{rest#1}}" @DESCRIPTOR@>&- &
  wait $!
  trap - TERM INT QUIT HUP USR1 USR2
  rm -f state/waiting
  ;;
esac
read -r up _ </proc/uptime
echo "${{up%.*}}" >state/started
cd /
"""

_FIRST = """\
if [ -z "$(ls -A @FOLDER@)" ]; then
  rm -rf @FOLDER@.new
  @COMMAND@ || exit
  mv -T @FOLDER@.new @FOLDER@ || exit
fi
"""

_EXPORT = 'unset PWD; while IFS= read -r line; do export "$line"; done <"$0"; exec "$@"'

# A stop that was asked for is known by the file `down`, which only the agent writes.
_FINISH = f"""#!/bin/sh
# $1: exit code, 256 for a signal; $2: the signal.
PATH={programs.PATH}
[ ! -e state/waiting ] || rm -f state/waiting
read -r now _ </proc/uptime
now=${{now%.*}}
started= deaths= row= pause=0
[ ! -f state/started ] || read -r started <state/started
[ ! -f state/record ] || read -r _ _ deaths row _ <state/record
case $started in '' | *[!0-9]*) started=$now ;; esac
case $deaths in '' | *[!0-9]*) deaths=0 ;; esac
case $row in '' | *[!0-9]*) row=0 ;; esac
if [ -e down ]; then
  row=0
else
  deaths=$((deaths + 1))
  [ $((now - started)) -lt {HEALTHY_AFTER} ] || row=0
  if [ "$row" -gt 0 ]; then
    pause={BACKOFF_FIRST}
    step=1
    while [ "$step" -lt "$row" ] && [ "$pause" -lt {BACKOFF_MOST} ]; do
      pause=$((pause * 2)) step=$((step + 1))
    done
    [ "$pause" -le {BACKOFF_MOST} ] || pause={BACKOFF_MOST}
  fi
  row=$((row + 1))
fi
echo "$1 $2 $deaths $row $pause" >state/record
"""
