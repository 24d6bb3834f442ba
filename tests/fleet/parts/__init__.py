# SPDX-License-Identifier: LGPL-3.0-or-later
"""The parts of the program `fleet`, each after those that it uses:

  machine   programs, locks, and what the kernel of this machine knows
  model     a fleet and its hosts
  network   addresses, links and the switch
  disk      what is on the disk of a host that is not this machine's
  systemd   what a host has besides whose PID 1 is systemd
  boot      starting and ending a host; boot.sh is its first program
  faults    what can go wrong with a host
"""
