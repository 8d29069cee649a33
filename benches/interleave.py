#!/usr/bin/env python3
"""Time commands turn by turn and print the median of each, in ms:   interleave.py RUNS PREPARE COMMAND...

In every round each command runs once, after PREPARE, which is not timed and may be empty. So what else the machine does meets
all of them alike. Commands are split at blanks and start without a shell; what they print is thrown away. One that fails ends it all.
"""
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time

runs, prepare, commands = int(sys.argv[1]), shlex.split(sys.argv[2]), [shlex.split(c) for c in sys.argv[3:]]
null = os.open(os.devnull, os.O_RDWR)
streams = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]


def once(command):
    """Seconds from the start of a command until it has been waited for."""
    path = shutil.which(command[0]) or command[0]
    begun = time.perf_counter()
    child = os.posix_spawn(path, command, os.environ, file_actions=streams)
    _, status = os.waitpid(child, 0)
    took = time.perf_counter() - begun
    if status != 0:
        sys.exit(f"failed: {shlex.join(command)}")
    return took


times = [[] for _ in commands]
for round in range(runs + 2):
    for command, own in zip(commands, times):
        if prepare:
            subprocess.run(prepare, stdout=null, stderr=null, check=False)
        took = once(command)
        if round >= 2:  # The first two warm up.
            own.append(took)
for own in times:
    print(statistics.median(own) * 1000)
