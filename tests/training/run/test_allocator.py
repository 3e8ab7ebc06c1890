"""training.run.allocator, in a process of its own, since it lasts."""

import os
import platform
import subprocess
import sys

# Of another allocator nothing is known.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD" and "MALLOC" not in name}
PROGRAM = """
import resource, sys
import torch
from training.run.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    print(keep_freed_memory())
def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(2**24)  # 64 MiB: 16384 pages of 4 KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(20)  # the heap grows at first
print(faults(10))
"""


def faults(how: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    return done.stdout.split()


def test_pages_are_made_once_where_memory_is_kept() -> None:
    done, kept = faults("kept")
    assert done == str(platform.libc_ver()[0] == "glibc")
    (given_back,) = faults("given back")
    if done == "True":
        assert int(given_back) > 20 * max(int(kept), 1)
