# SPDX-License-Identifier: LGPL-3.0-or-later
"""What is reported is what runs: random sequences of deploys on real processes.

Each sequence has a host of its own on this machine and one or two services, which are daemons or programs. What
their hooks do is chosen anew before each deploy: succeed, fail, hang, crash, or lie. After each deploy the report,
the exit status, the manifest and now and then `tutti status` are compared with the processes that really run.

A hook that lies says, by its exit status, something of its own service that is not so. The people who wrote it are to
blame for what follows from that, and for that alone: the hooks write down each lie when it is told. A process of
which a hook said that it is gone, though it runs, is excused; so is a version that does not run though a hook said so
in this deploy. Whatever else is said must be so.
"""

import argparse
import concurrent.futures
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

VERSIONS = ["1", "2", "3"]
SERVICES = ["a", "b"]
# What a hook may do, the likely ones more than once. Limits are 1 s.
WORDS = {
    "start": ["ok"] * 8 + ["fail", "fail-late", "hang", "hang-late", "lie"],
    "stop": ["ok"] * 8 + ["fail", "fail", "hang", "lie"],
    "alive": ["ok"] * 8 + ["hang", "crash", "missing", "yes", "no"],
    "validate": ["ok"] * 7 + ["fail", "fail", "hang", "lie"],
}
TRANSITIONS = ["replace"] * 7 + ["no-validate", "swallow", "no-stop"]

ACT = r"""#!/bin/sh
# act HOOK SERVICE VERSION FLAVOUR: does what the test wants HOOK to do now.
hook=$1 service=$2 version=$3 flavour=$4
root=@ROOT@
read -r word <"$root/ctl/$service.$version.$hook" || word=ok
lives() { # PID: a process of ours that has not ended
  read -r line <"/proc/$1/stat" 2>/dev/null || return 1
  case ${line##*) } in Z* | X*) return 1 ;; esac
  case $(tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null) in *"sleep @NUMBER@ "*) ;; *) return 1 ;; esac
}
pids() { # GLOB of a version -> $found
  found=
  for file in "$root/run/$service".$1.*; do
    [ -e "$file" ] || continue
    if lives "${file##*.}"; then found="$found ${file##*.}"; fi
  done
}
own() { if [ "$flavour" = any ]; then pids '*'; else pids "$version"; fi; }
lie() { echo "$1 $service $version $2" >>"$root/lies"; } # gone|runs ... PIDS
gone() { pids "$version"; [ -z "$found" ] || lie gone "$found"; }
runs() { own; [ -n "$found" ] || lie runs; }
spawn() {
  setsid sleep @NUMBER@ </dev/null >/dev/null 2>&1 &
  : >"$root/run/$service.$version.$!"
  until lives $!; do :; done
}
hang() { exec sleep 30; }
case $hook.$word in
  start.ok) spawn; exit 0 ;;
  start.fail) exit 1 ;;
  start.fail-late) spawn; exit 1 ;;
  start.hang) hang ;;
  start.hang-late) spawn; hang ;;
  start.lie) pids "$version"; [ -n "$found" ] || lie runs; exit 0 ;;
  daemon.fail) exit 1 ;;
  daemon.*) : >"$root/run/$service.$version.$$"; exec sleep @NUMBER@ ;;
  stop.ok)
    own
    [ -n "$found" ] || exit @STRICT@
    kill -9 $found
    for pid in $found; do while lives "$pid"; do :; done; done
    exit 0 ;;
  stop.fail) exit 1 ;;
  stop.hang) hang ;;
  stop.lie) own; [ -z "$found" ] || lie gone "$found"; exit 0 ;;
  alive.ok) own; [ -n "$found" ] ;;
  alive.hang | validate.hang) hang ;;
  alive.crash) kill -9 $$ ;;
  alive.missing) exit 127 ;;
  alive.yes) runs; exit 0 ;;
  alive.no) own; [ -z "$found" ] || lie gone "$found"; exit 1 ;;
  validate.ok) own; [ -n "$found" ] || exit 1 ;;
  validate.fail) [ "$5" = alive ] || gone; exit 1 ;;
  validate.lie) pids "$version"; [ -n "$found" ] || lie runs; exit 0 ;;
  *) echo "act: $hook.$word?" >&2; exit 1 ;;
esac
"""

SITE = """(use-modules (tutti) (ice-9 exceptions))
(define* (no-validate #:key (old #f) new)
  (when old (stop old))
  (start new))
(define* (swallow #:key (old #f) new)
  (when old (stop old))
  (guard (e (#t #f)) (start new)))
(define* (no-stop #:key (old #f) new)
  (start new)
  (validate new))
(define replace replace-service)
(site-configuration
 (name "truth")
 (platform (local-platform "hosts"))
 (host-class->hosts (inventory-list `("front" ,(host (name "h1")))))
 (host-classes (list (host-class (name "front") (services (list {services}))))))
"""


class Sequence:
    def __init__(self, seed, folder, tutti):
        self.seed = seed
        self.random = random.Random(seed)
        self.root = os.path.join(folder, str(seed))
        self.tutti = tutti
        self.number = 1000000 + seed % 100000000
        self.excused = set()  # processes of which a hook said that they are gone
        self.unseen = set()  # versions that a hook said to run, and nothing can tell otherwise
        self.words = {}
        self.story = []
        for name in ("ctl", "run"):
            os.makedirs(os.path.join(self.root, name))
        self.names = SERVICES[: self.random.choice([1, 1, 2])]
        # Of each version: a daemon or a program; what its hooks look at; whether it has `alive?`.
        self.kinds = {}
        for name in self.names:
            for version in VERSIONS:
                self.kinds[name, version] = {
                    "daemon": self.random.random() < 0.35,
                    "flavour": self.random.choice(["own", "any"]),
                    "alive": self.random.random() < 0.85,
                    "validate": self.random.random() < 0.9,
                }
        act = ACT.replace("@ROOT@", self.root).replace("@NUMBER@", str(self.number))
        act = act.replace("@STRICT@", self.random.choice(["0", "1"]))
        self.act = os.path.join(self.root, "act")
        with open(self.act, "w") as file:
            file.write(act)
        os.chmod(self.act, 0o755)

    # -- the world

    def running(self):
        """{service: {version: {pid}}} of what runs."""
        found = {name: {} for name in self.names}
        for file in os.listdir(os.path.join(self.root, "run")):
            service, version, pid = file.split(".")
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    state = stat.read().rpartition(") ")[2][:1]
                with open(f"/proc/{pid}/cmdline", "rb") as line:
                    words = line.read().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state not in "ZX" and str(self.number).encode() in words:
                found[service].setdefault(version, set()).add(int(pid))
        return found

    def manifest(self):
        """{service: entry} as it is on the host."""
        folder = os.path.join(self.root, "hosts", "h1", ".tutti", "site-truth", "m")
        entries = {}
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if name.startswith("."):
                continue
            with open(os.path.join(folder, name), "rb") as file:
                entries[name] = json.loads(file.read().split(b"\n")[-1])
        return entries

    def lies(self):
        """The lies told since the last time: pids said to be gone, and versions said to run."""
        path = os.path.join(self.root, "lies")
        gone, runs = set(), set()
        if os.path.exists(path):
            with open(path) as file:
                for line in file:
                    words = line.split()
                    if words[0] == "gone":
                        gone |= {int(pid) for pid in words[3:]}
                    else:
                        runs.add((words[1], words[2]))
            os.remove(path)
        return gone, runs

    # -- one deploy

    def choose(self):
        """What is wanted and how hooks behave: {service: (version, transition)}."""
        wanted = {}
        for name in self.names:
            if self.random.random() < 0.88:
                wanted[name] = (self.random.choice(VERSIONS), self.random.choice(TRANSITIONS))
        calm = self.random.random() < 0.25  # all is well for once
        for name in self.names:
            for version in VERSIONS:
                for hook, words in {**WORDS, "daemon": ["ok"] * 8 + ["fail"]}.items():
                    key = name, version, hook
                    # Half of what went wrong goes on to: so what is left over stays in the way.
                    if key not in self.words or self.random.random() < 0.5:
                        self.words[key] = self.random.choice(words)
                    word = "ok" if calm else self.words[key]
                    with open(os.path.join(self.root, "ctl", f"{name}.{version}.{hook}"), "w") as file:
                        file.write(word + "\n")
                    if word != "ok":
                        self.story.append(f"    {name} {version} {hook}: {word}")
        return wanted

    def site(self, wanted):
        services = []
        for name, (version, transition) in wanted.items():
            kind = self.kinds[name, version]

            def program(hook, maker="program", limit=" #:limit 1"):
                more = ' "alive"' if kind["alive"] or kind["daemon"] else ' "none"'
                flavour = kind["flavour"]
                return f'({maker} "{self.act}" "{hook}" "{name}" "{version}" "{flavour}"{more}{limit})'

            fields = [f'(name "{name}") (version "{version}") (switch-to-service {transition})']
            if kind["daemon"]:
                fields.append(f'(start {program("daemon", "daemon", "")})')
            else:
                fields.append(f'(start {program("start")}) (stop {program("stop")})')
                if kind["alive"]:
                    fields.append(f'(alive? {program("alive")})')
            if kind["validate"]:
                fields.append(f'(validate {program("validate")})')
            services.append("(service " + " ".join(fields) + ")")
        return SITE.replace("{services}", " ".join(services))

    def run(self, *words):
        done = subprocess.run(
            [*self.tutti, *words],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=300,
        )
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def deploy(self):
        wanted = self.choose()
        before = self.manifest()
        real = self.running()
        # A transition of the site that does not stop the old one leaves it running: its author meant that.
        for name, (_, transition) in wanted.items():
            if transition == "no-stop":
                for pids in real[name].values():
                    self.excused |= pids
        with open(os.path.join(self.root, "site.scm"), "w") as file:
            file.write(self.site(wanted))
        self.story.append(f"  deploy {wanted}")
        status, out, err = self.run("deploy", "site.scm", "--yes", "--json")
        report = json.loads(out) if out.strip().startswith("{") else None
        gone, said_to_run = self.lies()
        for name, version in said_to_run:
            kind = self.kinds[name, version]
            if not (kind["daemon"] or kind["alive"] or kind["validate"]):
                self.unseen.add((name, version))
        said_to_run |= self.unseen
        outcomes = {}
        if report:
            outcomes = {step["service"]: (step["outcome"], step["message"]) for step in report["steps"]}
        self.story.append(f"    exit {status}: {outcomes}")
        after = self.manifest()
        self.story.append(f"    manifest: { {name: self.claim(entry) for name, entry in after.items()} }")
        real = self.running()
        self.story.append(f"    runs: {real}; said to be gone: {gone}; said to run: {said_to_run}")
        self.excused |= gone
        wrong = []
        if report is None and status != 0:
            wrong.append(f"no report: {err}")
        if report and status != report.get("exit_status", 0):  # with nothing to do it is the plan
            wrong.append(f"exit status {status}, the report has {report['exit_status']}")
        for name in self.names:
            swallows = wanted.get(name, ("", ""))[1] == "swallow"
            self.judge(name, wanted, before.get(name), after.get(name), outcomes.get(name), status,
                       real[name], said_to_run, swallows, wrong)
        if self.random.random() < 0.3:
            self.judge_status(after, real, wrong)
        return wrong

    @staticmethod
    def claim(entry):
        new = entry.get("new") or {}
        return entry["state"], (new.get("running") or {}).get("version")

    def only(self, versions, version, name, said_to_run, what, wrong, swallows=False):
        """VERSION and nothing else runs, but for what hooks lied about."""
        if version and not versions.get(version) and (name, version) not in said_to_run:
            kind = self.kinds[name, version]
            # A site that swallows the failure of a start of what nothing can tell about says that itself.
            if not (swallows and not kind["daemon"] and not kind["alive"]):
                wrong.append(f"{name}: {what} {version}, which does not run")
        for other, pids in versions.items():
            if other != version and pids - self.excused:
                wrong.append(f"{name}: {what} {version}, but {other} runs: {pids - self.excused}")

    def judge(self, name, wanted, before, after, outcome, status, versions, said_to_run, swallows, wrong):
        state, version = self.claim(after) if after else ("gone", None)
        outcome = outcome[0] if outcome else None
        if status == 0:
            # Done, or nothing to do: what is wanted is what runs.
            want = wanted[name][0] if name in wanted else None
            self.only(versions, want, name, said_to_run, "exit status 0 for", wrong, swallows)
            if (state, version) != (("deployed", want) if want else ("gone", None)):
                wrong.append(f"{name}: exit status 0, but the manifest says {state} {version}")
        if outcome == "upgraded":
            want = wanted[name][0] if name in wanted else None
            self.only(versions, want, name, said_to_run, "upgraded to", wrong, swallows)
        elif outcome == "rolled-back":
            # At what the entry says: the old one, or nothing.
            if state not in ("deployed", "gone"):
                wrong.append(f"{name}: rolled-back, but the manifest says {state}")
            self.only(versions, version, name, said_to_run, "rolled back to", wrong)
        elif outcome in ("failed", "roll-back-failed", "unknown"):
            if status != 4:
                wrong.append(f"{name}: {outcome}, but exit status {status}")
            if state in ("deployed", "gone") and outcome != "unknown":
                wrong.append(f"{name}: {outcome}, but the manifest says {state} {version}")
        elif outcome is None and name in wanted and state == "deployed" and after == before and status in (3, 4):
            # The plan found nothing to do for it: what the entry says runs.
            self.only(versions, version, name, said_to_run, "nothing to do for", wrong, swallows)
        # An entry that says more than `failed` is believed by the next plan.
        if outcome in ("upgraded", "rolled-back") and state == "deployed":
            self.only(versions, version, name, said_to_run, "the manifest says deployed", wrong, swallows)

    def judge_status(self, manifest, real, wrong):
        _, out, _ = self.run("status", "site.scm")
        gone, said_to_run = self.lies()
        self.excused |= gone
        for line in out.splitlines():
            found = re.match(r"\S+\s+h1\s+(\S+)\s+(\S+)\s+(deployed|dead)\b", line)
            if not found:
                continue
            name, version, state = found.groups()
            pids = real[name].get(version, set())
            kind = self.kinds[name, version]
            can_tell = kind["daemon"] or kind["alive"] or kind["validate"]
            any_version = kind["flavour"] == "any" and not kind["daemon"]
            lives = bool(pids) or (any_version and any(real[name].values()))
            if state == "deployed" and can_tell and not lives and (name, version) not in said_to_run:
                wrong.append(f"status: {name} {version} deployed, but it does not run")
            if state == "dead" and pids - self.excused and (kind["daemon"] or kind["alive"]):
                wrong.append(f"status: {name} {version} dead, but it runs")

    def go(self, stopped):
        wrong = []
        try:
            for _ in range(self.random.randint(3, 6)):
                wrong = self.deploy()
                if wrong or stopped.is_set():
                    break
        except Exception as error:  # whatever it is, the sequence is named
            wrong = [f"{type(error).__name__}: {error}"]
        finally:
            for versions in self.running().values():
                for pids in versions.values():
                    for pid in pids:
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
        return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sequences", type=int, default=30)
    parser.add_argument("--seed", type=int, default=None, help="of the first; the next ones follow it")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=None, help="begin none after this long")
    parser.add_argument("--keep", action="store_true", help="keep the folders of those that failed")
    options = parser.parse_args()
    first = options.seed if options.seed is not None else random.SystemRandom().randrange(10**8)
    print(f"sequences {first} to {first + options.sequences - 1} (again: --seed {first} --sequences N)", flush=True)
    folder = tempfile.mkdtemp(prefix="tutti-truth.", dir="/var/tmp")
    begun = time.monotonic()
    failed = done = 0
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())  # what is under way ends, and its processes

    def one(seed):
        if stopped.is_set() or (options.seconds and time.monotonic() - begun > options.seconds):
            return None
        sequence = Sequence(seed, folder, ["tutti"])
        wrong = sequence.go(stopped)
        if not (wrong and options.keep):
            shutil.rmtree(sequence.root, ignore_errors=True)
        return sequence, wrong

    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        for result in pool.map(one, range(first, first + options.sequences)):
            if result is None:
                continue
            sequence, wrong = result
            done += 1
            if wrong:
                failed += 1
                print(f"FAIL  sequence {sequence.seed}")
                print("\n".join(sequence.story))
                print("\n".join("  WRONG: " + line for line in wrong), flush=True)
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{done} sequences, {failed} with a false word")
    sys.exit(130 if stopped.is_set() else 1 if failed or not done else 0)


if __name__ == "__main__":
    main()
