# SPDX-License-Identifier: LGPL-3.0-or-later
"""What can go wrong with a host."""

import contextlib
import os
import signal

from .boot import boot, halt, remove_cgroup
from .machine import PATIENCE, FleetError, processes, run, send, status, wait_until


def kill_sshd(host):
    while send(signal.SIGKILL, host.network, only=lambda pid: "".join(status(pid, "Name")).startswith("sshd")):
        pass


def restore_sshd(host):
    if host.fleet.init == "systemd":
        start, log = ["systemctl", "start", "ssh.service"], "`journalctl -u ssh`"
    else:
        start, log = ["/usr/sbin/sshd", "-E", "/run/sshd.log"], "/run/sshd.log"  # a second one ends by itself
    run(*host.command(*start))
    wait_until(host.listening, f"the sshd of host {host.name} did not start within {PATIENCE} s; see {log}")


def freeze(host):
    host.running_init()
    cgroup = host.cgroup()
    if cgroup:
        with contextlib.suppress(OSError):  # not ours to write: use signals
            cgroup.mkdir(exist_ok=True)
            (cgroup / "cgroup.freeze").write_text("1")

    def stopped():
        if not host.frozen_by_cgroup():
            return send(signal.SIGSTOP, host.network, only=lambda pid: status(pid, "State")[:1] != ["T"]) == 0
        inside = {pid for procs in cgroup.rglob("cgroup.procs") for pid in procs.read_text().split()}
        outside = [pid for pid in processes(host.network) if str(pid) not in inside]
        strays = cgroup / "strays"  # not the cgroup itself: one that a systemd has divided takes no process
        strays.mkdir(exist_ok=True)
        for pid in outside:
            with contextlib.suppress(ProcessLookupError):
                (strays / "cgroup.procs").write_text(str(pid))
        return not outside and "frozen 1" in (cgroup / "cgroup.events").read_text()

    wait_until(stopped, f"host {host.name} could not be frozen within {PATIENCE} s")


def thaw(host):
    if host.frozen_by_cgroup():
        (host.cgroup() / "cgroup.freeze").write_text("0")
    else:
        send(signal.SIGCONT, host.network)


def signal_init(signum):
    return lambda host: os.kill(host.running_init(), signum)


def set_link(state):
    return lambda host: run("nsenter", f"--net={host.fleet.switch}", "ip", "link", "set", host.name, state)


def resize(host, size):
    run("mount", "-o", f"remount,size={size}", str(host.disk))


def fill_disk(host):
    def filled():
        disk = os.statvfs(host.disk)
        try:
            resize(host, (disk.f_blocks - disk.f_bfree) * disk.f_frsize)
            return True
        except FleetError:  # more was written meanwhile
            return False

    wait_until(filled, f"the disk of host {host.name} could not be filled within {PATIENCE} s")


def free_disk(host):
    resize(host, host.fleet.settings()["disk"])


def reboot(host):
    halt(host.network)
    if host.cgroup() and host.cgroup().exists():
        remove_cgroup(host.cgroup())
    boot(host)


FAULTS = {
    "kill-sshd": kill_sshd,
    "restore-sshd": restore_sshd,
    "freeze": freeze,
    "thaw": thaw,
    "hang-init": signal_init(signal.SIGSTOP),
    "wake-init": signal_init(signal.SIGCONT),
    "unplug": set_link("down"),
    "plug": set_link("up"),
    "fill-disk": fill_disk,
    "free-disk": free_disk,
    "reboot": reboot,
}
