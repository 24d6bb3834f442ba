# SPDX-License-Identifier: LGPL-3.0-or-later
"""This machine: programs, locks, and what its kernel knows of the processes and mounts of a fleet."""

import contextlib
import errno
import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

PATIENCE = 30  # seconds: for a host to start, for processes to end, for another fleet command to finish
LOCK_FD = 9
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class FleetError(Exception):
    """A sentence for the user: what, which host, what to do."""


# Programs and files


def run(*command, stdin="", cwd=None):
    """Run COMMAND and return its output. It inherits our lock: if we are killed, `down` waits for it to end."""
    done = subprocess.run(command, input=stdin, cwd=cwd, text=True, capture_output=True, close_fds=False)
    if done.returncode != 0:
        raise FleetError(f"`{' '.join(command)}` failed: {done.stderr.strip() or f'status {done.returncode}'}")
    return done.stdout


def write_whole(fleet, path, text):
    """Write TEXT to the file PATH of FLEET, which is there with all of it or not at all."""
    unfinished = fleet.state / f"{path.name}.new"
    unfinished.write_text(text)
    unfinished.rename(path)


def wait_until(condition, failure):
    """Wait until CONDITION() holds; after PATIENCE seconds raise FAILURE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise FleetError(failure)
        time.sleep(0.02)


# Locks


@contextlib.contextmanager
def locked(directory):
    """Lock DIRECTORY against other fleet commands, and yield the open file that holds the lock."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise FleetError(f"another fleet command has been busy in {directory} for {PATIENCE} s; "
                                     "wait for it or end it, then try again") from None
                time.sleep(0.05)
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def fleet_locked(fleet):
    """Lock FLEET. Programs that run() and boot() start inherit the lock as LOCK_FD."""
    with locked(fleet.directory) as fd:
        os.dup2(fd, LOCK_FD)
        try:
            yield
        finally:
            os.close(LOCK_FD)


@contextlib.contextmanager
def network_locked():
    """Lock this machine's network against other fleets, also those of a chroot or container that shares it.

    The lock is a name without a file, which belongs to the network namespace.
    """
    with socket.socket(socket.AF_UNIX) as lock:
        def bound():
            try:
                lock.bind("\0tutti-fleet")
                return True
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return False

        wait_until(bound, f"another fleet has been taking its addresses for {PATIENCE} s; end it, then try again")
        yield


# What the kernel knows


def mounts():
    """The mounts of this machine: (mount point, file system type), each after what it is mounted on."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        yield point, fields[fields.index("-") + 1]


def identity(namespace):
    """What tells one namespace from all others, or None if the path NAMESPACE leads to none."""
    try:
        there = os.stat(namespace)
        return there.st_dev, there.st_ino
    except OSError:
        return None


def processes(network):
    """The processes in the network namespace at the path NETWORK, without zombies: these are in none."""
    wanted = identity(network)
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if wanted and identity(f"/proc/{pid}/ns/net") == wanted]


def send(signum, network, only=lambda pid: True):
    """Send SIGNUM to the processes in NETWORK for which ONLY(pid). Return their number.

    After SIGKILL, return when they have ended and released their files and mounts.
    """
    opened = []
    try:
        for pid in filter(only, processes(network)):
            with contextlib.suppress(ProcessLookupError):
                fd = os.pidfd_open(pid)
                opened.append(fd)
                if identity(f"/proc/{pid}/ns/net") == identity(network):  # not another one with a reused id
                    signal.pidfd_send_signal(fd, signum)
                    if signum == signal.SIGKILL:
                        ended = select.poll()
                        ended.register(fd, select.POLLIN)
                        if not ended.poll(PATIENCE * 1000):
                            raise FleetError(f"process {pid} of the host at {network} did not end "
                                             f"within {PATIENCE} s of SIGKILL")
        return len(opened)
    finally:
        for fd in opened:
            os.close(fd)


def status(pid, field):
    """The words of FIELD in /proc/PID/status; none if the process is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith(field + ":"):
                return line.split()[1:]
    return []
