# SPDX-License-Identifier: LGPL-3.0-or-later
"""A fleet and its hosts: where their parts are, and what state they are in."""

import contextlib
import hashlib
import json
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from .machine import PATH, FleetError, mounts, processes, run, status


class Fleet:
    def __init__(self, directory):
        self.directory = Path(os.path.realpath(directory))
        self.state = self.directory / ".fleet"
        self.switch = self.state / "switch"  # the network namespace of the bridge
        self.boot = self.state / "boot"  # the first program of each host: a copy, as hosts boot again and again
        self.settings_file = self.state / "settings.json"
        self.name = "tutti-" + hashlib.sha256(bytes(self.directory)).hexdigest()[:8]

    def settings(self):
        """What `up` was told, for later commands."""
        return json.loads(self.settings_file.read_text())

    @property
    def init(self):
        """What is PID 1 of the hosts: "plain" or "systemd"."""
        return self.settings()["init"]

    def hosts(self):
        """The hosts of a complete fleet."""
        try:
            hosts = json.loads((self.directory / "hosts.json").read_text())["hosts"]
        except FileNotFoundError:
            raise FleetError(f"there is no fleet in {self.directory}; `fleet up` makes one") from None
        return [Host(self, host["name"], host["class"], host["address"], host["labels"]["datacenter"])
                for host in hosts]

    def host(self, name):
        for host in self.hosts():
            if host.name == name:
                return host
        raise FleetError(f"the fleet in {self.directory} has no host {name}; `fleet list` shows its hosts")

    def cgroups(self):
        """Where the fleet's cgroups are or would be: the cgroup v2 tree, if there is one."""
        return next((Path(point) for point, kind in mounts() if kind == "cgroup2"), None)


@dataclass(frozen=True)
class Host:
    fleet: Fleet
    name: str
    host_class: str
    address: str
    datacenter: str

    @property
    def place(self):
        return self.fleet.state / self.name

    @property
    def network(self):
        return self.place / "network"

    @property
    def disk(self):
        return self.place / "disk"

    def init(self):
        """The host's PID 1, as this machine numbers it, or None if the host is down."""
        return next((pid for pid in processes(self.network) if status(pid, "NSpid") == [str(pid), "1"]), None)

    def running_init(self):
        init = self.init()
        if init is None:
            raise FleetError(f"host {self.name} is down; `fleet fault {self.fleet.directory} {self.name} reboot` "
                             "brings it back")
        if self.frozen():
            raise FleetError(f"host {self.name} is frozen; `fleet fault {self.fleet.directory} {self.name} thaw` "
                             "wakes it")
        return init

    def command(self, *command):
        """The command that runs COMMAND in the host as root."""
        cgroup = ["--cgroup"] if self.fleet.init == "systemd" else []
        return ["nsenter", f"--target={self.running_init()}", "--mount", "--uts", "--ipc", "--net", "--pid", *cgroup,
                "--", "env", "-i", f"PATH={PATH}", "HOME=/root", "USER=root", "LOGNAME=root", *command]

    def cgroup(self):
        """The host's cgroup, which need not be there, or None where this machine has no cgroup v2."""
        tree = self.fleet.cgroups()
        return tree and tree / f"{self.fleet.name}-{self.name}"

    def frozen_by_cgroup(self):
        cgroup = self.cgroup()
        return bool(cgroup) and cgroup.exists() and (cgroup / "cgroup.freeze").read_text().strip() == "1"

    def init_hangs(self):
        return status(self.init(), "State")[:1] == ["T"]

    def frozen(self):
        return self.frozen_by_cgroup() or (
            self.init_hangs() and all(status(pid, "State")[:1] == ["T"] for pid in processes(self.network)))

    def plugged(self):
        link = json.loads(run("nsenter", f"--net={self.fleet.switch}", "ip", "-json", "link", "show", self.name))
        return "UP" in link[0]["flags"]

    def full(self):
        disk = os.statvfs(self.disk)
        return disk.f_bfree * disk.f_frsize < 64 * 1024  # not 0: what a host removes from a full disk makes room

    def listening(self):
        """Whether the host's sshd listens, whatever the network does."""
        with contextlib.suppress(OSError):
            sockets = Path(f"/proc/{self.init()}/net/tcp").read_text()
            return re.search(r": 00000000:0016 \S+ 0A ", sockets) is not None  # any address, port 22, LISTEN
        return False

    def answers(self):
        with contextlib.suppress(OSError):
            with socket.create_connection((self.address, 22), timeout=5) as connection:
                return connection.recv(4) == b"SSH-"
        return False

    def words(self):
        """The state of the host, for people."""
        if self.init() is None:
            return "down"
        frozen = self.frozen()
        faults = {"frozen": frozen, "init-hangs": self.init_hangs() and not frozen, "no-sshd": not self.listening(),
                  "unplugged": not self.plugged(), "disk-full": self.full()}
        return " ".join(word for word, there in faults.items() if there) or "up"
