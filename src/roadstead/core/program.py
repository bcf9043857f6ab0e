"""What every program of the root tree does at its start: readiness, and room for open files."""

from __future__ import annotations

import contextlib
import os
import resource

NOTIFY = "ROADSTEAD_NOTIFY_FD"
"""In the environment: the descriptor to which readiness is said."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs of the machine, and of hosts, are looked for; never where a caller says."""
PRIVATE = 0o077
"""The umask of our own programs."""
USUAL = 0o022
"""That of programs of others that we start, which make what all of a host are to see: runc, containerd."""


def say_ready() -> None:
    """Tell s6 (descriptor 3, see s6's notification protocol) or whoever else asked for it."""
    descriptor = os.environ.pop(NOTIFY, "")
    if descriptor.isdecimal():
        with contextlib.suppress(OSError):
            os.write(int(descriptor), b"\n")
            os.close(int(descriptor))


def keep_private() -> None:
    """What this program makes is its user's alone, but where it says so itself; whatever its starter's umask was."""
    os.umask(PRIVATE)


def raise_descriptors(wanted: int) -> None:
    """So many open files, or as many as a user may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = min(hard, wanted) if hard != resource.RLIM_INFINITY else wanted
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
