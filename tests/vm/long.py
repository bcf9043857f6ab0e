"""The long form: README's words, a node, an application with data; restart, upgrade, power cut; and away."""

from __future__ import annotations

from tests.vm import cabinet, home, visit
from tests.vm.machine import Machine
from tests.vm.results import Results

KUBECTL = "./roadstead kubectl"
CREATE = "./roadstead create cluster --name=cluster-1 --nodes=1 --region=eu-central-1"
SERVED = f"{KUBECTL} exec deployment/hello -- wget -qO- http://hello"
STARTS = f"{KUBECTL} exec diary-0 -- cat /data/starts"
WRITTEN = "what was written before the power went"


def show(machine: Machine, results: Results) -> None:
    with results.step("boot"):
        machine.boot()
        visit.booted(machine)
        results.facts |= visit.versions(machine)
    before = visit.belongings(machine)
    with results.step("`roadstead doctor`"):
        machine.ann(visit.DOCTOR, 120).ok()
    with results.step("`roadstead create cluster --nodes=1`, until the node is Ready"):
        machine.ann(CREATE, 900).ok()
        _ready(machine)
    with results.step("an image, a Deployment, a Service by its name, a volume"):
        _application(machine)
    _service_restarted(machine, results)
    _upgraded(machine, results)
    _power_cut(machine, results)
    with results.step("`roadstead delete cluster`"):
        machine.ann("../newer/roadstead delete cluster --name=cluster-1", 300).ok()
    with results.step("`roadstead uninstall` leaves nothing"):
        machine.ann("../newer/roadstead uninstall --yes", 180).ok()
        visit.nothing_left(machine, before)


def _ready(machine: Machine, seconds: float = 300) -> None:
    """The node is Ready, the names of a cluster are answered, and `status` knows of nothing else."""
    machine.ann(f"{KUBECTL} wait --for=condition=Ready node --all --timeout={seconds:.0f}s", seconds + 30).ok()
    rollout = f"{KUBECTL} -n kube-system rollout status deployment coredns --timeout={seconds:.0f}s"
    machine.ann(rollout, seconds + 30).ok()
    visit.well(machine, seconds)


def _application(machine: Machine) -> None:
    machine.ann("./roadstead engine image busybox -o /tmp/test.tar", 120).ok()
    machine.ann("./roadstead load image --cluster=cluster-1 /tmp/test.tar", 240).ok()
    machine.ann(f"{KUBECTL} apply -f /home/vm/app.yaml", 120).ok()
    for what in ("deployment/hello", "statefulset/diary"):
        machine.ann(f"{KUBECTL} rollout status {what} --timeout=300s", 330).ok()
    if "Hello from hello-" not in (said := visit.until(machine, SERVED, 60)):
        raise cabinet.Failed(f"{SERVED}: {said}")
    machine.ann(f"{KUBECTL} exec diary-0 -- sh -c 'echo {WRITTEN} >> /data/starts && sync'", 60).ok()


def _works(machine: Machine) -> None:
    """Through API, kubelet, proxy rules and names to a pod, as before."""
    if "Hello from hello-" not in (said := visit.until(machine, SERVED, 120)):
        raise cabinet.Failed(f"{SERVED}: {said}")


def _service_restarted(machine: Machine, results: Results) -> None:
    hosts = visit.hosts(machine)
    with results.step("`systemctl restart roadstead`: hosts are the same"):
        machine.ann("sudo systemctl restart roadstead", 60).ok()
        visit.well(machine, 120)
        visit.unharmed(machine, hosts)
        _works(machine)


def _upgraded(machine: Machine, results: Results) -> None:
    hosts = visit.hosts(machine)
    with results.step("`roadstead start` of a newer checkout: hosts are the same"):
        machine.ann("../newer/roadstead start", 300).ok()
        visit.well(machine, 120)
        if home.NEWER not in (said := machine.ann("../newer/roadstead status", 60).ok()):
            raise cabinet.Failed(f"the agent is not {home.NEWER}:\n{said}")
        visit.unharmed(machine, hosts)
        _works(machine)


def _power_cut(machine: Machine, results: Results) -> None:
    with results.step("power cut, boot, until all is back with its data"):
        machine.power_cut()
        machine.boot()
        visit.booted(machine)
        # The objects are those of before: only what answers anew shows that it is back.
        visit.until(machine, f"{KUBECTL} get --raw /readyz", 300)
        _ready(machine)
        _works(machine)
        starts = visit.until(machine, STARTS, 120)
        if WRITTEN not in starts:
            raise cabinet.Failed(f"the volume's data is not what was written:\n{starts}")
        if len([line for line in starts.splitlines() if line and line != WRITTEN]) < 2:
            raise cabinet.Failed(f"the pod was not started again:\n{starts}")
