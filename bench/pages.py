"""What memory costs on this machine, and a way to have the same price for all of it while clusters are compared.

A virtual machine whose host takes back what is free pays for each page again when it is used the next time, and beyond
what the host has at hand several times as much. The third cluster would be made of dearer memory than the first. So
before they are compared memory is used once and let go in pieces that are too small to be taken back: of each 256 KiB
one page is kept (Linux reports free memory to a host in blocks of 2 MiB and more, mm/page_reporting.c).

    python -m bench.pages            price by price, 8 GiB in steps of 256 MiB
    python -m bench.pages hold MIB   use, let go, say `held`, wait for the end of stdin
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MIB = 1 << 20
_PIECE = 256 << 10
_DONTNEED = 4
_SAMPLE = 256
_MOST = 8192
"""MiB: more than three clusters use."""
_SPARE = 4096
"""MiB that stay free: holding must not make the machine reclaim."""


def available() -> int:
    """MiB."""
    return int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) // 1024


def price(mib: int = _SAMPLE) -> float:
    """Milliseconds of processor for each MiB that is used for the first time, over `mib`, which are let go again."""
    with contextlib.closing(_fresh(mib)) as memory:
        return _used(memory)


@contextlib.contextmanager
def level() -> Iterator[str]:
    """For as long as it is entered, memory has one price; yields what was paid for it before, as text."""
    mib = min(_MOST, available() - _SPARE)
    if mib < _SAMPLE:
        yield "as it comes: there is too little to level it"
        return
    words = [sys.executable, "-m", "bench.pages", "hold", str(mib)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            said = holder.stdout.readline().strip()
            if not said.startswith("held"):
                raise RuntimeError(f"memory could not be held: {said!r}")
            yield f"{said.removeprefix('held ')}, then {price():.1f} for all"
        finally:
            holder.stdin.close()
            holder.wait(60)


def _fresh(mib: int) -> mmap.mmap:
    return mmap.mmap(-1, mib * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _used(memory: mmap.mmap, first: int = 0, end: int | None = None) -> float:
    """Writes to each page from byte `first` to `end`; milliseconds of processor for each MiB."""
    end = len(memory) if end is None else end
    before = _cpu()
    for place in range(first, end, mmap.PAGESIZE):
        memory[place] = 1
    return (_cpu() - before) * 1000 / ((end - first) / MIB)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _prices(mib: int) -> tuple[mmap.mmap, list[float]]:
    memory = _fresh(mib)
    size = _SAMPLE * MIB
    return memory, [_used(memory, at, min(at + size, len(memory))) for at in range(0, len(memory), size)]


def _hold(mib: int) -> None:
    memory, prices = _prices(mib)
    libc = ctypes.CDLL(None, use_errno=True)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for at in range(0, len(memory), _PIECE):
        rest = min(_PIECE, len(memory) - at) - mmap.PAGESIZE
        place = ctypes.c_void_p(start + at + mmap.PAGESIZE)
        if rest > 0 and libc.madvise(place, ctypes.c_size_t(rest), _DONTNEED) != 0:
            raise OSError(ctypes.get_errno(), "madvise")
    print(f"held {prices[0]:.1f} to {max(prices):.1f} ms for each MiB used first", flush=True)
    sys.stdin.read()


def main() -> int:
    if len(sys.argv) == 3 and sys.argv[1] == "hold":
        _hold(int(sys.argv[2]))
        return 0
    memory, prices = _prices(max(_SAMPLE, min(_MOST, available() - _SPARE)))
    for number, each in enumerate(prices, 1):
        print(f"{number * _SAMPLE:6d} MiB  {each:.2f} ms for each")
    memory.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
