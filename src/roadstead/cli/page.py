"""docs/cli.md, made from the grammar: `python -m roadstead.cli.page > docs/cli.md`. A unit test keeps it so."""

from __future__ import annotations

import msgspec
from msgspec import inspect

from roadstead.cli import config, defaults, validity
from roadstead.cli.grammar import flags, tree
from roadstead.core import terminal

_HEAD = """# Commands of eksctl

`roadstead create|get|scale|delete|utils` are eksctl's commands, with its flags, its `ClusterConfig` files and its
output. They ask Roadstead's AWS API over HTTP, as any customer does, with the endpoint and the keys of the AWS profile
`roadstead`. What `--profile`, `AWS_PROFILE`, `AWS_ENDPOINT_URL` and `AWS_REGION` say goes before. Keys in the
environment (`AWS_ACCESS_KEY_ID` with its kin) are mostly AWS's own: they count only together with an endpoint there
(`AWS_ENDPOINT_URL`, or that of a service), or where the profile has no keys. `get-token` does the same.

The program `eksctl` itself reads, drains and deletes here; what it makes it makes by CloudFormation, which has no
stacks yet.

Every error is one line on standard error, and the code is 1; 130 when interrupted.

For each flag the pages below say what eksctl means by it and what Roadstead does:

- **works**: the same as eksctl;
- **noted**: taken, without effect; the command says so and why;
- **refused**: an error that says why.

## From nothing to a cluster, and back

`create cluster` makes the VPC and its subnets, a role for the cluster and one for its nodes, the cluster, and its
nodegroups when it is ACTIVE, each by its AWS operation: there are no CloudFormation stacks. On a terminal a view of
the phases is kept below the lines; in a pipe, in CI, with `NO_COLOR` or `TERM=dumb` each phase is a line at its end.

```
$ roadstead create cluster --name=cluster-1 --nodes=4 --region=eu-central-1
2026-11-22 23:32:10 [ℹ]  using region eu-central-1
2026-11-22 23:32:10 [ℹ]  setting availability zones to [eu-central-1a eu-central-1b eu-central-1c]
2026-11-22 23:32:10 [ℹ]  subnets for eu-central-1a - public:192.168.0.0/19 private:192.168.96.0/19
2026-11-22 23:32:10 [ℹ]  subnets for eu-central-1b - public:192.168.32.0/19 private:192.168.128.0/19
2026-11-22 23:32:10 [ℹ]  subnets for eu-central-1c - public:192.168.64.0/19 private:192.168.160.0/19
2026-11-22 23:32:10 [ℹ]  nodegroup "ng-0b7ad7a8" will use "" [AmazonLinux2023/1.37]
2026-11-22 23:32:10 [ℹ]  using Kubernetes version 1.37
2026-11-22 23:32:10 [ℹ]  creating EKS cluster "cluster-1" in "eu-central-1" region with managed nodes
...
2026-11-22 23:32:11 [ℹ]  building cluster "cluster-1"
2026-11-22 23:32:11 [ℹ]  waiting for cluster "cluster-1" to become active
 ✔ network         0.6 s  6 subnets
 ✔ roles           0.6 s  2 roles
 ⠋ control plane   2.9 s  a: etcd ✔ api ·   b: etcd ✔ api ·   c: etcd · api ·
 ✔ endpoint        1.7 s  https://198.51.100.1
 ⠋ access          2.8 s
   nodes
   kubeconfig
```

It ends so:

```
2026-11-22 23:32:16 [ℹ]  building managed nodegroup "ng-0b7ad7a8"
2026-11-22 23:32:17 [✔]  saved kubeconfig as "/home/ann/.kube/config"
2026-11-22 23:32:17 [ℹ]  waiting for 4 node(s) to become ready in "ng-0b7ad7a8"
2026-11-22 23:32:21 [ℹ]  nodegroup "ng-0b7ad7a8" has 4 node(s)
2026-11-22 23:32:21 [ℹ]  node "ip-192-168-0-20.eu-central-1.compute.internal" is ready
2026-11-22 23:32:21 [ℹ]  node "ip-192-168-0-68.eu-central-1.compute.internal" is ready
2026-11-22 23:32:21 [ℹ]  node "ip-192-168-32-36.eu-central-1.compute.internal" is ready
2026-11-22 23:32:21 [ℹ]  node "ip-192-168-64-52.eu-central-1.compute.internal" is ready
2026-11-22 23:32:21 [✔]  created 1 managed nodegroup(s) in cluster "cluster-1"
 ✔ network         0.6 s  6 subnets
 ✔ roles           0.6 s  2 roles
 ✔ control plane   4.8 s  a: etcd ✔ api ✔   b: etcd ✔ api ✔   c: etcd ✔ api ✔
 ✔ endpoint        1.5 s  https://198.51.100.1
 ✔ access          5.2 s
 ✔ nodes           4.7 s  4 of 4 Ready   a: ✔✔   b: ✔   c: ✔
 ✔ kubeconfig      0.1 s  /home/ann/.kube/config
2026-11-22 23:32:22 [ℹ]  kubectl command should work with "/home/ann/.kube/config", try 'kubectl get nodes'
2026-11-22 23:32:22 [✔]  EKS cluster "cluster-1" in "eu-central-1" region is ready
```

**What cannot be is refused before anything is made**: names, versions, zones, instance types, ranges of addresses,
numbers of nodes, a kubeconfig that cannot be read, a control plane and nodes that together are more than the machine
carries. When the service refuses the cluster itself, what this call has made is taken back.

```
$ roadstead create cluster --name=dev --version=1.20
Error: invalid version, 1.20 is not supported: this Roadstead offers 1.34, 1.35, 1.36, 1.37
```

**What the cluster's events warn of** while it is made is told at once, each once, after `[!]`: the machine's networks
that its VPC hides, a part that was ready and is not any more. When the time of `--timeout` is over, the error names the
first part that is not ready with its reason; the work goes on, and so does the same command.

```
Error: timed out waiting for nodegroup(s) ng-0b7ad7a8: node-2: kubelet is starting; the work goes on: watch it by
'roadstead get events -w --cluster=dev --region=eu-central-1'; the same command with --name=dev goes on with it
```

**Ctrl-C ends the waiting, not the work** (code 130). What was sent is awaited first: until the cluster is asked for,
nothing is left of the call; later it goes on being made. Nodes are asked for by the command alone, when the cluster is
ACTIVE: give the same command again, and it goes on where this one was. A second Ctrl-C waits for nothing, and says how
to take back what may be there. The name of a cluster that is done is taken.

```
2026-11-22 23:24:17 [!]  interrupted: cluster "two" goes on being made
2026-11-22 23:24:17 [ℹ]  watch it by 'roadstead get events -w --cluster=two --region=eu-central-1'
2026-11-22 23:24:17 [ℹ]  the same command with --name=two goes on with it, and asks for its nodes: nobody else does
```

**Tags and names** are eksctl's: all that is made for a cluster has `alpha.eksctl.io/cluster-name` and its older form,
and all but what is for nodes `alpha.eksctl.io/cluster-oidc-enabled`. There is no `alpha.eksctl.io/eksctl-version`:
no version of eksctl has made it. Roles are an account's, in all regions: their names end with a digest of region and
name, as those of CloudFormation end by chance, and are cut to the 64 characters that IAM takes. A name that is longer
than a label may be (63) is no label of nodes.

**The kubeconfig** is that of `--kubeconfig`, of `KUBECONFIG`, or `~/.kube/config`: other entries stay as they stand,
comments too. It is locked as kubectl locks it, replaced in one step, and readable by its owner alone, who under sudo is
who called sudo. kubectl gets its tokens from `roadstead get-token`, or from `aws eks get-token` with
`--authenticator=aws`. `roadstead utils write-kubeconfig` writes it again.

**`delete cluster`** deletes nodegroups, cluster, subnets, VPC, roles and the kubeconfig's entries, from any half made
state, and may be given again. Of a cluster that is not there, or is in another region, it says so, with code 1, and
touches nothing. Roles that an earlier release made without a region in their names stay, with a word: another region's
cluster of that name may have them.

```
$ roadstead delete cluster --name=cluster-1
2026-11-22 23:32:24 [ℹ]  deleting EKS cluster "cluster-1"
2026-11-22 23:32:24 [ℹ]  deleting nodegroup "ng-0b7ad7a8"
2026-11-22 23:32:24 [ℹ]  waiting for deletion of nodegroup "ng-0b7ad7a8"
2026-11-22 23:32:25 [ℹ]  waiting for deletion of cluster "cluster-1"
2026-11-22 23:32:25 [ℹ]  deleting 6 subnet(s) of vpc-0b95bb9395a0b7029, 1 VPC(s), 2 role(s)
2026-11-22 23:32:25 [✔]  kubeconfig "/home/ann/.kube/config": the entries of the cluster have been removed
 ✔ nodes           0.3 s
 ✔ control plane   0.4 s
 ✔ network         0.1 s
 ✔ roles           0.1 s
 ✔ kubeconfig      0.2 s
2026-11-22 23:32:25 [✔]  all cluster resources were deleted
```

This page is made from the code: `python -m roadstead.cli.page > docs/cli.md`.
"""


def text() -> str:
    """The whole page."""
    sections = [_HEAD]
    for verb in tree.VERBS:
        sections += [_resource(verb, each) for each in verb.resources if each.action]
    sections += [_absent(), _config()]
    return "\n".join(sections)


def _resource(verb: flags.Verb, resource: flags.Resource) -> str:
    lines = [f"## {verb.name} {resource.name}", resource.means]
    if resource.aliases:
        lines.append(f"Also `{'`, `'.join(resource.aliases)}`.")
    lines += [
        "",
        "| flag | what eksctl means by it | default | Roadstead | in ClusterConfig |",
        "|---|---|---|---|---|",
    ]
    lines += [_flag(flag) for flag in resource.flags]
    return "\n".join([*lines, ""])


def _flag(flag: flags.Flag) -> str:
    kind = "|".join(flag.choices) or ("" if flag.kind == "truth" else flag.kind)
    spelled = f"`--{flag.name}`" + (f", `-{flag.short}`" if flag.short else "") + (f" {_cell(kind)}" if kind else "")
    does = f"{flag.does}: {flag.why}" if flag.why else flag.does
    default = f"`{flag.default}`" if flag.default is not None else ""
    lands = f"`{flag.lands.replace('[0]', '[]')}`" if flag.lands else ""
    return "| " + " | ".join((spelled, _cell(flag.means), default, _cell(does), lands)) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _absent() -> str:
    lines = ["## Commands of eksctl that are not here", "", "| command | why |", "|---|---|"]
    for verb in tree.VERBS:
        lines += [f"| `{verb.name} {each.name}` | {each.why} |" for each in verb.resources if not each.action]
    lines += [f"| `{name}` | {why} |" for name, why in tree.ABSENT_VERBS.items()]
    return "\n".join([*lines, ""])


def _config() -> str:
    lines = [
        "## ClusterConfig files",
        f"`-f FILE` reads a `{config.API_VERSION}` document, YAML 1.2 or JSON; `-` is standard input. Reading is",
        "strict: an unknown key or a value of the wrong type is an error with its line and column. Without a version",
        f"it is {defaults.VERSION}. `utils schema` prints what is taken. What eksctl knows and Roadstead refuses:",
        "",
        "| key | why |",
        "|---|---|",
    ]
    places = {"ClusterConfig": "", **_places(config.ClusterConfig, "")}
    for part, keys in config.REFUSED.items():
        lines += [f"| `{places[part]}{key}` | {why} |" for key, why in keys.items()]
    for path, (allowed, why) in validity.REFUSED_VALUES.items():
        only = [_spoken(one) for one in allowed if one not in ("", ())]
        lines.append(f"| `{path}`{f' other than {only[0]}' if only else ''} | {why} |")
    return "\n".join([*lines, ""])


def _spoken(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _places(part: type[msgspec.Struct], above: str) -> dict[str, str]:
    """Where each part of a ClusterConfig stands, by the name of its type."""
    found: dict[str, str] = {}
    structure = inspect.type_info(part)
    assert isinstance(structure, inspect.StructType)
    for field in structure.fields:
        kind = field.type
        if isinstance(kind, inspect.UnionType):
            kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
        many = isinstance(kind, inspect.VarTupleType | inspect.DictType)
        if isinstance(kind, inspect.VarTupleType):
            kind = kind.item_type
        elif isinstance(kind, inspect.DictType):
            kind = kind.value_type
        if isinstance(kind, inspect.StructType):
            here = f"{above}{field.encode_name}{'[]' if many else ''}."
            found |= {kind.cls.__name__: here, **_places(kind.cls, here)}
    return found


if __name__ == "__main__":
    terminal.out(text(), end="")
