"""Writes src/roadstead/network/instance-types.jsonl.gz: what EC2 says of each of its instance types.

python -m tests.peer.instance_types [OLDER...]        (needs moto: uv sync --group peer)

moto carries what DescribeInstanceTypes answers in AWS's own regions (Apache-2.0); these are facts of AWS's. What AWS
has taken out of that since, and clients still know, is in older releases: OLDER are their `instance_types.json.gz`,
the newest first. The file has one line of JSON for each type, by name, behind one that tells where it is from.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from roadstead.network import sizes

TARGET = Path(__file__).resolve().parents[2] / "src" / "roadstead" / "network" / sizes.FILE


def of_moto() -> dict[str, Any]:
    """By name, from the release that is installed."""
    found = importlib.util.find_spec("moto")
    assert found is not None
    assert found.origin is not None
    return read(Path(found.origin).parent / "ec2" / "resources" / "instance_types.json.gz")


def read(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return dict(json.loads(gzip.decompress(content) if path.suffix == ".gz" else content))


def text(types: dict[str, Any], source: str) -> bytes:
    head = {"source": source, "types": len(types)}
    return b"".join(line(each) for each in (head, *(types[name] for name in sorted(types))))


def line(thing: dict[str, Any]) -> bytes:
    first = {key: value for key, value in thing.items() if key == "InstanceType"}
    rest = {key: value for key, value in sorted(thing.items()) if key != "InstanceType"}
    return json.dumps({**first, **rest}, separators=(",", ":")).encode() + b"\n"


def main(older: Iterable[str]) -> None:
    version = importlib.metadata.version("moto")
    types = of_moto()
    source = f"DescribeInstanceTypes of AWS, as moto {version} has it"
    for path in older:
        before = read(Path(path))
        added = before.keys() - types.keys()
        source += f"; {len(added)} that are not offered any more, of an older release"
        types |= {name: before[name] for name in added}
    TARGET.write_bytes(gzip.compress(text(types, source), 9, mtime=0))
    print(f"{len(types)} types, {TARGET.stat().st_size} bytes: {TARGET}")


if __name__ == "__main__":
    main(sys.argv[1:])
