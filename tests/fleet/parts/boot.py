# SPDX-License-Identifier: LGPL-3.0-or-later
"""Starting a host, and ending it."""

import os
import signal
import subprocess

from .machine import LOCK_FD, PATH, PATIENCE, FleetError, send, wait_until


def boot(host):
    """Start HOST and return when its sshd listens."""
    init = host.fleet.init
    first = ["env", "-i", "--default-signal", f"PATH={PATH}", "sh", str(host.fleet.boot), init, host.name, host.address]
    if init == "systemd":
        cgroup = host.cgroup()
        if cgroup is None:
            raise FleetError(f"host {host.name} cannot have systemd: no cgroup v2 is mounted on this machine; "
                             "use --init plain")
        cgroup.mkdir(exist_ok=True)
        # PID 1 goes there itself: any other process in the root of the host's cgroups would be in its way.
        first = ["sh", "-c", 'echo 0 >"$0"/cgroup.procs && exec unshare --cgroup "$@"', str(cgroup), *first]
    log = host.place / "boot.log"
    with log.open("w") as output:
        # Once nsenter is in the host's network, `down` can find the process, and it lets go of our lock.
        process = subprocess.Popen(
            ["nsenter", f"--net={host.network}", "sh", "-c", f'exec {LOCK_FD}>&-; exec "$@"', "sh",
             "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", *first],
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
    """Remove CGROUP and those below it, whose processes have ended."""
    def removed():
        for one, _, _ in os.walk(cgroup, topdown=False):
            try:
                os.rmdir(one)
            except FileNotFoundError:
                pass
            except OSError:  # the kernel is not done with the last process
                return False
        return True

    wait_until(removed, f"could not remove {cgroup}: it still has processes, which fleet did not start")
