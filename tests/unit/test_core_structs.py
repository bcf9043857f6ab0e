"""Types of messages that are decoded by many threads at once, in a process of their own: without `prepare` it is gone.

The threads give way to each other after each instruction, and each round has types that nobody has decoded yet.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"
PROGRAM = """
import sys, threading, types
import msgspec
from roadstead.core import structs

sys.setswitchinterval(1e-6)
CODE = '''
import msgspec
class Below(msgspec.Struct):
    x: int
    y: str
class Top(msgspec.Struct):
    a: int
    b: str
    c: "list[Below]"
    d: "dict[str, Below]"
    e: "int | None" = None
'''
text = b'{"a": 1, "b": "x", "c": [{"x": 1, "y": "s"}], "d": {}}'
modules = [types.ModuleType(f"round_{number}") for number in range(ROUNDS)]
for module in modules:
    sys.modules[module.__name__] = module
    exec(CODE, module.__dict__)
assert structs.prepare() >= 2 * ROUNDS
for module in modules:
    go = threading.Barrier(4)
    def decode():
        go.wait()
        msgspec.json.decode(text, type=module.Top)
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
print("decoded")
"""


def test_threads_decode_what_was_prepared() -> None:
    program = PROGRAM.replace("ROUNDS", "300")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "decoded\n"), done.stderr
