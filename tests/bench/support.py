# SPDX-License-Identifier: LGPL-3.0-or-later
"""What the benches share: a fleet of hosts that goes when the bench ends, times, figures and bounds.

Judge them on a quiet machine. Where other work competes, a scheduler with a group for each session gives
more to tutti, whose ssh processes are sessions of their own, than to those of one xargs.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FLEET = SOURCE / "tests/fleet/fleet"
SITE = SOURCE / "tests/bench/rollout/site.scm"


def stop(sentence):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {sentence}")


@contextlib.contextmanager
def fleet(count):
    """A folder with a fleet of COUNT hosts of one class; all of it goes at the end."""
    if os.geteuid() != 0:
        stop("needs root for network namespaces; run it with sudo")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    work = pathlib.Path(tempfile.mkdtemp(prefix="tutti-bench.", dir="/var/tmp"))  # hosts have a /tmp of their own
    try:
        subprocess.run([FLEET, "up", str(count), work / "fleet", "--classes", f"web={count}"], check=True)
        yield work
    finally:
        subprocess.run([FLEET, "down", work / "fleet"], check=False)
        shutil.rmtree(work)


def hosts(work, count):
    """The first COUNT hosts of the fleet, as the inventory has them."""
    return json.loads((work / "fleet/hosts.json").read_text())["hosts"][:count]


def seconds(command, environment=None, stdin="", holds=""):
    """How long COMMAND took, from its start to its end. It must succeed, and say what HOLDS."""
    environment = {**os.environ, **(environment or {})}
    began = time.monotonic()
    done = subprocess.run(command, env=environment, input=stdin, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    took = time.monotonic() - began
    if done.returncode != 0 or holds not in done.stdout:
        stop(f"`{command[0]}` ended with status {done.returncode}:\n{done.stdout}")
    return took


class Tutti:
    """Deploys the benches' service to the first COUNT hosts, with a site, a state and a port of its own."""

    def __init__(self, work, count, port):
        self.count, self.state = count, work / f"{port}.db"
        inventory = work / f"hosts-{port}.json"
        inventory.write_text(json.dumps({"format_version": 1, "hosts": hosts(work, count)}))
        self.environment = {"BENCH_FLEET": str(work / "fleet"), "BENCH_HOSTS": str(inventory),
                            "BENCH_PORT": str(port)}

    def deploy(self, version, says):
        """How long `tutti deploy --yes` of VERSION took; it must say so."""
        return seconds(["tutti", "deploy", SITE, "--yes", "--state", self.state],
                       {**self.environment, "BENCH_VERSION": version}, holds=says)

    def upgrade(self, version):
        return self.deploy(version, f": {self.count} upgraded")

    def idle(self, version):
        return self.deploy(version, "nothing to do")


def most_opening():
    """How many connections the library opens at once."""
    header = (SOURCE / "lib/transport/link.hpp").read_text()
    return int(re.search(r"most_opening = (\d+);", header)[1])


def for_each(work, count, at_once, *command):
    """What runs COMMAND, with its word HOST replaced, for each of COUNT hosts, AT_ONCE of them; and its input."""
    return ["xargs", "-P", str(at_once), "-I", "HOST", *command], \
        "".join(host["name"] + "\n" for host in hosts(work, count))


def median(numbers):
    return statistics.median(numbers)


def ratio(times, name, to):
    """The median of the rounds' own ratios: what slows a whole round down is in both."""
    return median([a / b for a, b in zip(times[name], times[to])])


class Bounds:
    """Prints figures against their bounds, and remembers whether one was missed."""

    def __init__(self):
        self.missed = False

    def at_most(self, what, figure, bound):
        self._check(what, figure, figure <= bound, f"at most {bound}")

    def at_least(self, what, figure, bound):
        self._check(what, figure, figure >= bound, f"at least {bound}")

    def _check(self, what, figure, holds, bound):
        self.missed = self.missed or not holds
        print(f"{'ok  ' if holds else 'MISS'}  {what}: {figure:.2f} ({bound})", flush=True)
