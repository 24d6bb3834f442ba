# SPDX-License-Identifier: LGPL-3.0-or-later
"""What is on the disk of a host that is not this machine's."""

import os
import uuid
from pathlib import Path

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


def furnish(host, hosts, disk_size):
    """Make the disk of HOST and what is on it that is not this machine's."""
    host.disk.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", f"size={disk_size},mode=755", "tmpfs", str(host.disk))
    upper = host.disk / "upper"
    for directory in (upper, host.disk / "work", host.disk / "root"):
        directory.mkdir()

    def empty_directory(path, mode=0o755, owner=0):
        directory = upper / path
        directory.mkdir(parents=True)
        os.setxattr(directory, "trusted.overlay.opaque", b"y")  # hides what this machine has there
        directory.chmod(mode)
        os.chown(directory, owner, owner)

    def file(path, text, mode=0o644, owner=0):
        target = upper / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)
        os.chown(target, owner, owner)

    for path in ("etc/ssh", "tutti", "var/lib/tutti", "var/lib/tutti-data"):
        empty_directory(path)
    empty_directory("tmp", 0o1777)
    file("etc/hostname", f"{host.name}\n")
    file("etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
    file("etc/hosts", "127.0.0.1 localhost\n" + "".join(f"{other.address} {other.name}\n" for other in hosts))
    file("etc/profile", "")  # start-up files of shells are slow
    file("etc/bash.bashrc", "")
    # '*' and not '!': without PAM, sshd takes '!' for a locked account.
    file("etc/passwd", accounts("passwd", "root:x:0:0:root:/root:/bin/bash",
                                f"deploy:x:{DEPLOY_UID}:{DEPLOY_UID}:deploy:/home/deploy:/bin/bash"))
    file("etc/shadow", accounts("shadow", "root:*:19000::::::", "deploy:*:19000::::::"), 0o600)
    file("etc/group", accounts("group", "root:x:0:", f"deploy:x:{DEPLOY_UID}:"))
    file("etc/sudoers", f'Defaults secure_path="{PATH}"\nroot ALL=(ALL:ALL) ALL\n'
                        "deploy ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440)
    file("etc/ssh/sshd_config", SSHD_CONFIG)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name,
        "-f", str(upper / "etc/ssh/ssh_host_ed25519_key"))
    public_key = (host.fleet.directory / "id_ed25519.pub").read_text()
    for home, owner in (("root", 0), ("home/deploy", DEPLOY_UID)):
        empty_directory(home, 0o700, owner)
        empty_directory(f"{home}/.ssh", 0o700, owner)
        file(f"{home}/.ssh/authorized_keys", public_key, 0o600, owner)
