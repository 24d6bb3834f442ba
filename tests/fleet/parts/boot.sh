# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Starts a host: runs as PID 1 in its new namespaces, in the directory of its disk. $1: its init, plain or systemd;
# $2: name; $3: address.
set -eu
hostname "$2"
ip -batch - <<END
link set lo up
address replace $3/24 dev eth0
link set eth0 up
END
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
if [ "$1" = systemd ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  # What systemd sets in /proc/sys, it would set on this machine. Only what is in net is the host's own.
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  mount --bind proc/sys/net proc/sys/net
  mount -o remount,bind,rw proc/sys/net
fi
mount -t tmpfs -o mode=755 tmpfs run
mkdir run/old run/sshd run/lock
cat /proc/sys/kernel/random/uuid > run/boot_id
mount --bind -o ro run/boot_id proc/sys/kernel/random/boot_id
[ ! -e proc/sysrq-trigger ] || mount --bind /dev/null proc/sysrq-trigger
mount -t tmpfs -o mode=755 tmpfs dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
pivot_root . run/old
cd /
umount -l /run/old
rmdir /run/old
find /tmp -mindepth 1 -delete
if [ "$1" = systemd ]; then
  # Without the rights over what this machine has once: its clock, its kernel, its memory.
  rights=-sys_boot,-sys_module,-sys_rawio,-sys_time,-syslog,-mac_admin,-mac_override,-wake_alarm,-block_suspend
  exec setpriv --bounding-set="$rights" env -i container=tutti-fleet PATH="$PATH" LANG=C.UTF-8 \
    /lib/systemd/systemd --log-target=journal --show-status=no </dev/null >/dev/null 2>&1
fi
[ ! -x /usr/sbin/cron ] || /usr/sbin/cron
/usr/sbin/sshd -E /run/sshd.log
exec env --ignore-signal=CHLD sleep infinity </dev/null >/dev/null 2>&1
