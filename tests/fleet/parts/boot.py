# SPDX-License-Identifier: LGPL-3.0-or-later
"""Starting a host, and ending it."""

import contextlib
import signal
import subprocess

from .machine import LOCK_FD, PATH, PATIENCE, FleetError, send, wait_until


def boot(host):
    """Start HOST and return when its sshd listens."""
    log = host.place / "boot.log"
    with log.open("w") as output:
        # Once nsenter is in the host's network, `down` can find the process, and it lets go of our lock.
        process = subprocess.Popen(
            ["nsenter", f"--net={host.network}", "sh", "-c", f'exec {LOCK_FD}>&-; exec "$@"', "sh",
             "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork",
             "env", "-i", "--default-signal", f"PATH={PATH}", "sh", str(host.fleet.boot), host.name, host.address],
            cwd=host.disk, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            pass_fds=[LOCK_FD])

    def ready():
        if process.poll() is not None:
            said = log.read_text().strip().splitlines()
            raise FleetError(f"host {host.name} did not start: {'; '.join(said) or 'it said nothing'}")
        return host.listening()

    wait_until(ready, f"the sshd of host {host.name} did not start within {PATIENCE} s")
    process.returncode = 0  # it outlives us: spare us Python's warning


def halt(host_network):
    """End every process in the network namespace of a host, and so the host."""
    while send(signal.SIGKILL, host_network):
        pass


def remove_cgroup(cgroup):
    """Remove CGROUP, whose processes have ended."""
    def removed():
        with contextlib.suppress(FileNotFoundError):
            try:
                cgroup.rmdir()
            except OSError:  # the kernel is not done with the last process
                return False
        return True

    wait_until(removed, f"could not remove {cgroup}: it still has processes, which fleet did not start")
