"""What systemd runs: writes the tree of an instance, which a reboot has taken, and becomes its s6-svscan.

python -m roadstead.machine.supervision.boot --instance ID
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from roadstead.core import errors, program, terminal
from roadstead.machine.supervision import make, see, settings, tree


def main(arguments: list[str] | None = None) -> int:
    """Does not return when all goes well; else 1, with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="roadstead-boot", description="The root s6 tree of one instance.")
    parser.add_argument("--instance", default="main")
    options = parser.parse_args(arguments)
    program.keep_private()
    try:
        places, kept = settings.instance_of(options.instance)
        # Without the lock of `start`: a start holds it while it waits for what this makes. systemd runs one of these
        # at a time, and s6-svscan refuses a tree that another one has.
        make.prepare(places, tree.services(places, Path(sys.executable), kept, see.ids()))
        make.clear(tree.folder(places), timeout=30)
    except errors.Error as error:
        terminal.err(f"roadstead-boot: {error.message}")
        return 1
    os.chdir("/")
    os.execvpe("s6-svscan", ["s6-svscan", str(tree.folder(places))], make.ENVIRONMENT)


if __name__ == "__main__":
    sys.exit(main())
