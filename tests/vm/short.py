"""The short form: one control plane on cgroup v2 under systemd, a restart of the service below it, and away."""

from __future__ import annotations

from tests.vm import visit
from tests.vm.machine import Machine
from tests.vm.results import Results

CREATE = "./roadstead create cluster --name=cluster-1 --region=eu-central-1 --without-nodegroup"


def show(machine: Machine, results: Results) -> None:
    with results.step("boot"):
        machine.boot()
        visit.booted(machine)
        results.facts |= visit.versions(machine)
    before = visit.belongings(machine)
    with results.step("`roadstead doctor`"):
        machine.ann(visit.DOCTOR, 120).ok()
    with results.step("`roadstead start`"):
        machine.ann("./roadstead start", 300).ok()
    with results.step("a control plane"):
        machine.ann(CREATE, 300).ok()
        visit.well(machine, 60)
    hosts = visit.hosts(machine)
    with results.step("`systemctl restart roadstead`: hosts are the same"):
        machine.ann("sudo systemctl restart roadstead", 60).ok()
        visit.well(machine, 90)
        visit.unharmed(machine, hosts)
        machine.ann("./roadstead kubectl get --raw /readyz", 60).ok()
    with results.step("`roadstead stop`: hosts are the same"):
        machine.ann("./roadstead stop", 60).ok()
        visit.unharmed(machine, hosts)
    with results.step("`roadstead uninstall` leaves nothing"):
        machine.ann("./roadstead uninstall --yes", 180).ok()
        visit.nothing_left(machine, before)
