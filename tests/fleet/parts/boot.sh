# SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=sh
# Starts a host: runs as PID 1 in its new namespaces, in the directory of its disk. $1: name, $2: address.
set -eu
hostname "$1"
ip -batch - <<END
link set lo up
address replace $2/24 dev eth0
link set eth0 up
END
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
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
/usr/sbin/sshd -E /run/sshd.log
exec env --ignore-signal=CHLD sleep infinity </dev/null >/dev/null 2>&1
