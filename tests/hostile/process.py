"""What a process holds: memory, descriptors, CPU time, as /proc tells."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LOOK_EVERY_SECONDS = 0.02


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * PAGE_BYTES


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def grown_bytes(pid: int, resident_before: int) -> int:
    """What resident memory grew by; 0 under AddressSanitizer, which keeps freed memory on purpose."""
    return 0 if is_sanitized(pid) else resident_bytes(pid) - resident_before


def is_sanitized(pid: int) -> bool:
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        return "libasan" in maps.read()


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def becomes_true(fact: Callable[[], bool], seconds: float) -> bool:
    """Whether `fact` comes true within so long."""
    end = time.monotonic() + seconds
    tick = threading.Event()
    while not fact():
        if time.monotonic() > end:
            return False
        tick.wait(LOOK_EVERY_SECONDS)
    return True
