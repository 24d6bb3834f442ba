# SPDX-License-Identifier: LGPL-3.0-or-later
"""What is on the disk of a host that is not this machine's."""

import contextlib
import grp
import os
import uuid
from pathlib import Path

from . import systemd
from .machine import PATH, run

DEPLOY_UID = 4242

SSHD_CONFIG = """\
Port 22
AddressFamily inet
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 1000
MaxSessions 1000
Subsystem sftp internal-sftp
"""


def accounts(kind, *lines):
    """This machine's /etc/KIND with LINES in place of its root and deploy."""
    kept = [line for line in Path("/etc", kind).read_text().splitlines()
            if line.split(":")[0] not in ("root", "deploy")]
    return "\n".join([*lines, *kept, ""])


class Layer:
    """The upper layer of a host's root, the folder TOP. Paths are those of the host, without the first slash."""

    def __init__(self, top):
        self.top = top

    def empty_directory(self, path, mode=0o755, owner=0, group=None):
        directory = self.top / path
        directory.mkdir(parents=True)
        os.setxattr(directory, "trusted.overlay.opaque", b"y")  # hides what this machine has there
        os.chown(directory, owner, owner if group is None else group)
        directory.chmod(mode)

    def file(self, path, text, mode=0o644, owner=0):
        target = self.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)
        os.chown(target, owner, owner)

    def link(self, path, target):
        link = self.top / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def furnish(host, hosts, disk_size):
    """Make the disk of HOST and what is on it that is not this machine's."""
    host.disk.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", f"size={disk_size},mode=755", "tmpfs", str(host.disk))
    upper = host.disk / "upper"
    for directory in (upper, host.disk / "work", host.disk / "root"):
        directory.mkdir()

    layer = Layer(upper)

    for path in ("etc/ssh", "tutti", "var/lib/tutti", "var/lib/tutti-data"):
        layer.empty_directory(path)
    layer.empty_directory("tmp", 0o1777)
    layer.file("etc/hostname", f"{host.name}\n")
    layer.file("etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
    layer.file("etc/hosts", "127.0.0.1 localhost\n" + "".join(f"{other.address} {other.name}\n" for other in hosts))
    layer.file("etc/profile", "")  # start-up files of shells are slow
    layer.file("etc/bash.bashrc", "")
    # '*' and not '!': without PAM, sshd takes '!' for a locked account.
    layer.file("etc/passwd", accounts("passwd", "root:x:0:0:root:/root:/bin/bash",
                                      f"deploy:x:{DEPLOY_UID}:{DEPLOY_UID}:deploy:/home/deploy:/bin/bash"))
    layer.file("etc/shadow", accounts("shadow", "root:*:19000::::::", "deploy:*:19000::::::"), 0o600)
    layer.file("etc/group", accounts("group", "root:x:0:", f"deploy:x:{DEPLOY_UID}:"))
    layer.file("etc/sudoers", f'Defaults secure_path="{PATH}"\nroot ALL=(ALL:ALL) ALL\n'
                              "deploy ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440)
    layer.file("etc/ssh/sshd_config", SSHD_CONFIG)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name,
        "-f", str(upper / "etc/ssh/ssh_host_ed25519_key"))
    public_key = (host.fleet.directory / "id_ed25519.pub").read_text()
    for home, owner in (("root", 0), ("home/deploy", DEPLOY_UID)):
        layer.empty_directory(home, 0o700, owner)
        layer.empty_directory(f"{home}/.ssh", 0o700, owner)
        layer.file(f"{home}/.ssh/authorized_keys", public_key, 0o600, owner)
    # Crontabs of this machine are none of the host's.
    layer.empty_directory("etc/cron.d")
    layer.file("etc/crontab", "")
    with contextlib.suppress(KeyError):  # there is no cron
        layer.empty_directory("var/spool/cron/crontabs", 0o1730, group=grp.getgrnam("crontab").gr_gid)
    if host.fleet.init == "systemd":
        systemd.furnish(layer)
