# SPDX-License-Identifier: LGPL-3.0-or-later
"""What a host has besides whose PID 1 is systemd."""

import os
from pathlib import Path

PROGRAM = "/lib/systemd/systemd"

# The programs needed besides and the Debian packages they are in.
PACKAGES = {
    PROGRAM: "systemd",
    "dbus-daemon": "dbus",
    "setpriv": "util-linux",
}

# What starts at boot of all that systemd and other packages of this machine would start.
STARTED = {
    "dbus.service",
    "dbus.socket",
    "systemd-journald.service",
    "systemd-journald.socket",
    "systemd-journald-dev-log.socket",
    "systemd-logind.service",
    "systemd-tmpfiles-setup.service",
    "systemd-user-sessions.service",
}

# The makers of units that stay; those of others look at this machine's disks, terminals and kernel.
GENERATORS = {"postgresql-generator", "systemd-sysv-generator"}

# In memory, so that a full disk stays full and `journalctl` can be asked all the same.
JOURNALD_CONF = """\
[Journal]
Storage=volatile
RuntimeMaxUse=64M
"""

# It is `fleet` that says when there is an sshd.
SSH_DROP_IN = """\
[Service]
Restart=no
"""

# A folder of its own in /tmp, which is to start empty.
LOGIND_DROP_IN = """\
[Service]
PrivateTmp=no
"""

# For `systemctl --user`. libpam-systemd would say it, but it wants systemd-sysv.
USER_DROP_IN = """\
[Service]
Environment=XDG_RUNTIME_DIR=/run/user/%i
"""


def furnish(layer):
    """Put into LAYER what makes the host's systemd start what a host is to start, and nothing else."""
    for path in ("etc/systemd", "etc/tmpfiles.d", "var/lib/systemd"):
        layer.empty_directory(path)
    units = Path("/usr/lib/systemd/system")
    for wants in units.glob("*.wants"):
        layer.empty_directory(wants.relative_to("/"))
        for unit in STARTED.intersection(os.listdir(wants)):
            layer.link((wants / unit).relative_to("/"), os.readlink(wants / unit))
    for generator in set(os.listdir(units.parent / "system-generators")) - GENERATORS:
        layer.link(f"etc/systemd/system-generators/{generator}", "/dev/null")
    for runlevel in "S0123456":
        layer.empty_directory(f"etc/rc{runlevel}.d")

    layer.link("etc/systemd/system/default.target", f"{units}/multi-user.target")
    layer.link("etc/systemd/system/multi-user.target.wants/ssh.service", f"{units}/ssh.service")
    layer.file("etc/systemd/system/ssh.service.d/fleet.conf", SSH_DROP_IN)
    layer.file("etc/systemd/system/systemd-logind.service.d/fleet.conf", LOGIND_DROP_IN)
    layer.file("etc/systemd/system/user@.service.d/fleet.conf", USER_DROP_IN)
    layer.file("etc/systemd/journald.conf", JOURNALD_CONF)
    layer.link("etc/tmpfiles.d/x11.conf", "/dev/null")  # it makes folders in /tmp
    for path in ("etc/default/ssh", "etc/fstab"):
        layer.file(path, "")
