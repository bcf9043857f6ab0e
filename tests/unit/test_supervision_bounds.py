"""What root's settings let the services have of the machine, and who of them writes what root runs."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from roadstead.core import errors, instance
from roadstead.machine.supervision import settings, tree

PLACES = instance.Instance.named("t-one")
IDS = tree.Ids(serve=995, porter=994)


def test_nobody_but_the_supplier_writes_engines() -> None:
    services = tree.services(PLACES, Path("/p"), settings.TreeSettings(), IDS)
    writes = {
        service.user: service.folders for service in services if any(at == tree.CACHE for at, _ in service.folders)
    }
    assert writes == {"roadstead-engines": ((tree.CACHE, 0o755),)}
    supplier = services[-1]
    # Who is in serve's group comes to the socket, and nobody else.
    assert supplier.rooms == ((Path("/run/roadstead/t-one/supplier"), "roadstead"),)
    assert " ".join(supplier.command[-9:]) == (
        "-a 0666 -- /run/roadstead/t-one/supplier/socket /p -m roadstead.supplier --engines /var/cache/roadstead"
    )
    files = tree.files([supplier], PLACES)
    assert files[PurePosixPath("supplier/down-signal")] == ("SIGQUIT\n", 0o644)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("endpoint_ports", text) for text in ("22-30000", "30010-30000", "1024-70000", "30000-", "30000\n", "all")),
        *(("machine_networks", text) for text in ("0.0.0.0/1", "127.0.0.0/8", "10.0.0.1/8", "169.254.0.0/16", "x", "")),
        *(("machine_ports", text) for text in ("0", "80,", "70000", "http")),
    ],
)
def test_bounds_have_a_form(name: str, text: str) -> None:
    with pytest.raises(errors.Invalid, match=f"--{name.replace('_', '-')} "):
        settings.merged(settings.TreeSettings(), **{name: text})


def test_bounds_reach_the_agent() -> None:
    asked = {"endpoint_ports": "30000-30009", "machine_networks": "10.0.0.0/8,198.19.0.0/16", "machine_ports": "80,443"}
    agent, serve, *_ = tree.services(PLACES, Path("/p"), settings.merged(settings.TreeSettings(), **asked), IDS)
    flags = [word for name, value in asked.items() for word in (f"--{name.replace('_', '-')}", value)]
    assert list(agent.command[-6:]) == flags
    assert list(serve.command[-2:]) == flags[:2]


def test_what_hosts_leave_to_the_machine_reaches_the_agent_in_bytes() -> None:
    asked = settings.merged(settings.TreeSettings(), keep_memory=2048, keep_processes=0, keep_disk=3)
    words = tree.services(PLACES, Path("/python"), asked, IDS)[0].command
    assert words[-6:] == ("--keep-memory", str(2 << 30), "--keep-processes", "0", "--keep-disk", str(3 << 20))
    assert not any(
        word.startswith("--keep") for word in tree.services(PLACES, Path("/p"), settings.TreeSettings(), IDS)[0].command
    )
