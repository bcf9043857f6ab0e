"""The same calls to Roadstead and to moto's server, as a table: printed, and written to docs/peers.md.

python -m tests.peer        (half a minute; needs moto: uv sync --group peer)
"""

from __future__ import annotations

import collections
import importlib.metadata
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.peer import case, compare, servers

PAGE = Path(__file__).resolve().parents[2] / "docs" / "peers.md"
Found = Mapping[str, compare.Outcome]

HEAD = """# Beside moto

[moto](https://github.com/getmoto/moto) imitates AWS for tests: its server answers for a great many services from
memory, and nothing runs behind the answers. Roadstead speaks few services, and runs what is asked for. Where both
answer the same calls, this page holds each beside AWS: boto3 asks both the same in the same order, and what comes is
compared with botocore's model and with the errors and states that AWS's API references tell of. Nobody asked AWS
itself.

- **ok**: as AWS: the values that the reference promises; required members, enums; the error's code and status.
- **differs**: something else, which is told. "Says yes" is an error of AWS that a test would not meet.
- **refused**: there is no such operation, or the case needs an answer that did not come ("not reached").

How both were run: Roadstead with its own server, operations and store, and with a simulated agent in place of real
machines, which makes everything at once. moto's server with its defaults and `MOTO_IAM_LOAD_MANAGED_POLICIES=true`. By
default moto checks no signature and no policy; `INITIAL_NO_AUTH_ACTION_COUNT` has it check both, which Roadstead does
for signatures only. The cases were chosen from what Roadstead does, and some from what it lacks: the counts say
nothing of the many services that moto has and Roadstead has not.

This page is made by `python -m tests.peer`, with moto {moto} and boto3 {boto3}.
"""


def ask_both() -> tuple[Found, Found]:
    with tempfile.TemporaryDirectory() as folder, servers.roadstead(Path(folder)) as client:
        ours = compare.run(client)
    with tempfile.TemporaryDirectory() as folder, servers.moto_clients(Path(folder)) as client:
        return ours, compare.run(client)


def wanted(one: case.Case) -> str:
    """What AWS does, in a few words."""
    match one.want:
        case case.Fault(codes, _):
            return " or ".join(f"`{code}`" for code in codes)
        case case.Answer():
            return "an answer" if one.how != "wait" else "the waiter ends well"


def count(found: Found) -> str:
    kinds = collections.Counter(outcome.kind for outcome in found.values())
    return f"{kinds['ok']} ok, {kinds['differs']} differ, {kinds['refused']} refused"


def page(ours: Found, moto: Found) -> str:
    versions = {name: importlib.metadata.version(name) for name in ("moto", "boto3")}
    rows = [row(one, ours[one.name], moto[one.name]) for one in compare.CASES]
    neither = [name for name in ours if "ok" not in (ours[name].kind, moto[name].kind)]
    return "\n".join(
        [
            HEAD.format(**versions),
            *summary("Where moto is as AWS and Roadstead is not", better(moto, ours), ours),
            *summary("Where Roadstead is as AWS and moto is not", better(ours, moto), moto),
            *summary("Where neither is (first Roadstead, then moto)", neither, ours, moto),
            f"## All {len(rows)} cases",
            f"Roadstead: {count(ours)}. moto: {count(moto)}.\n",
            "| case | call | AWS | Roadstead | moto |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def row(one: case.Case, ours: compare.Outcome, moto: compare.Outcome) -> str:
    return f"| {one.name} | {one.service} `{one.operation}` | {wanted(one)} | {cell(ours)} | {cell(moto)} |"


def better(one: Found, other: Found) -> list[str]:
    return [name for name in one if one[name].kind == "ok" and other[name].kind != "ok"]


def summary(title: str, names: Iterable[str], *columns: Found) -> Iterable[str]:
    """A list of cases with what those that fall short do."""
    lines = [f"- {name}: {'; '.join(plain(column[name].what) for column in columns)}" for name in names]
    return [f"## {title}", *(lines or ["None of the cases."]), ""]


def cell(outcome: compare.Outcome) -> str:
    return "ok" if outcome == compare.OK else f"**{outcome.kind}**"


def plain(text: str) -> str:
    """Words of servers in Markdown: as they are."""
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")


def main() -> int:
    if not servers.has_moto():
        print("moto is not installed: uv sync --group peer", file=sys.stderr)
        return 1
    ours, moto = ask_both()
    for one in compare.CASES:
        told = [f"{found[one.name].kind:<8} {found[one.name].what}".rstrip() for found in (ours, moto)]
        print(f"{one.name:<46} roadstead {told[0]}\n{'':<46} moto      {told[1]}")
    print(f"\nroadstead: {count(ours)}\nmoto:      {count(moto)}")
    PAGE.write_text(page(ours, moto))
    return 0


if __name__ == "__main__":
    sys.exit(main())
