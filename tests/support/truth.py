# SPDX-License-Identifier: LGPL-3.0-or-later
"""What is reported is what runs: random sequences of deploys on real processes.

Each sequence has a host of its own on this machine and one or two services, which are daemons or programs. What
their hooks do is chosen anew before each deploy: succeed, fail, hang, crash, or lie. After each deploy the report,
the exit status, the manifest and now and then `tutti status` are compared with the processes that really run.

Most deploys belong to a plot: a few deploys in a row that leave something over, by a stop that fails, hangs or lies,
or by a deploy that is interrupted or killed in the middle of a hook, and then meet it again. The others are random.

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
REMOVALS = ["remove"] * 5 + ["remove-nothing", "remove-swallow"]

ACT = r"""#!/bin/sh
# act HOOK SERVICE VERSION FLAVOUR: does what the test wants HOOK to do now.
hook=$1 service=$2 version=$3 flavour=$4
root=@ROOT@
read -r word <"$root/ctl/$service.$version.$hook" || word=ok
if read -r cut 2>/dev/null <"$root/ctl/cut" && [ "$cut" = "$service.$version.$hook" ] &&
  mv "$root/ctl/cut" "$root/ctl/cut-here" 2>/dev/null; then
  while [ -e "$root/ctl/cut-here" ]; do sleep 0.02; done # the test interrupts the deploy now
fi
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
lie() { echo "$1 $service $version $2" >>"$root/lies"; } # gone|runs|started ... PIDS
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
  start.lie) pids "$version"; [ -n "$found" ] || lie started; exit 0 ;;
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
  stop.lie) # Where there is an alive?, that one is asked: nobody needs to believe this.
    own
    [ "$5" = alive ] || [ -z "$found" ] || lie gone "$found"
    exit 0 ;;
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
(define remove remove-service)
(define* (remove-nothing #:key old) #t)
(define* (remove-swallow #:key old)
  (guard (e (#t #f)) (stop old)))
(site-configuration
 (name "truth")
 (platform (local-platform "hosts"))
 (host-class->hosts (inventory-list `("front" ,(host (name "h1"))) '("back")))
 (host-classes (list (host-class (name "front") (services (list {services})))
                     (host-class (name "back") (services (list {removed}))))))
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
        self.plots = {}  # {service: acts to come}
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
        """The lies told since the last time: pids said to be gone, versions said to run, those said to have started."""
        path = os.path.join(self.root, "lies")
        gone, runs, started = set(), set(), set()
        if os.path.exists(path):
            with open(path) as file:
                for line in file:
                    words = line.split()
                    if words[0] == "gone":
                        gone |= {int(pid) for pid in words[3:]}
                    elif words[0] == "started":
                        started.add((words[1], words[2]))
                    else:
                        runs.add((words[1], words[2]))
            os.remove(path)
        return gone, runs, started

    # -- one deploy

    def pick(self, words):
        return self.random.choice(words.split())

    def plot(self, name, entry):
        """Acts of a few deploys in a row that leave something of the service over, and meet it again."""
        chance = self.random.random
        state, there = self.claim(entry) if entry else ("gone", None)
        second = there if state == "deployed" else self.random.choice(VERSIONS)
        first, third = self.random.sample([one for one in VERSIONS if one != second], 2)
        acts, kind = [], self.pick("left left left cut cut cut removal removal back back")
        # Beside an old version, or as the first one.
        if kind in ("removal", "back") or (state != "gone" and chance() < 0.4) or (state == "gone" and chance() < 0.25):
            acts.append({"want": second, "words": {}})
        elif state != "gone" and chance() < 0.5:
            acts.append({"want": None, "words": {}})
        # A hanging `alive?` takes a limit at each question: it is the rarer one.
        blind = {(first, "alive"): self.pick("ok ok ok hang crash missing no")}
        if kind == "removal":
            stop = {(second, "stop"): self.pick("ok fail hang lie")}
            stop[second, "alive"] = self.pick("ok hang crash missing")
            removal = self.pick("remove remove-nothing remove-nothing remove-swallow")
            acts.append({"want": None, "words": stop, "removal": removal})
            acts.append({"want": self.random.choice([first, second, None]), "words": {}})
            return acts
        if kind == "back":  # the old one does not come back, though its start may say so
            words = {(first, self.pick("validate start")): "fail"}
            words[second, "start"] = self.pick("lie lie fail fail-late hang")
            words[second, "alive"] = self.pick("ok ok hang crash")
            acts.append({"want": first, "words": words})
            return acts
        stays = {(first, "stop"): self.pick("fail fail hang lie")}
        if kind == "left":
            start = self.pick("ok ok ok fail-late hang-late lie")
            words = {(first, "start"): start, **stays, **blind}
            words[first, "validate"] = self.pick("fail fail hang")
            if chance() < 0.3:  # and the old one does not come back
                words[second, "start"] = self.pick("fail hang")
            acts.append({"want": first, "words": words})
        else:
            where = [(first, "start"), (first, "start"), (first, "validate"), (second, "stop"), (first, "stop")]
            cut = self.random.choice(where)
            words = {(first, "start"): self.pick("ok ok fail-late hang-late"), **blind}
            if cut[1] == "stop" and cut[0] == first:
                words.update({(first, "validate"): "fail", **stays})
            acts.append({"want": first, "words": words, "cut": cut, "signal": self.pick("KILL KILL INT TWICE")})
        # What was left meets another version, itself, or a removal; it may not end even then.
        words = {**blind, **(stays if chance() < 0.6 else {})}
        if chance() < 0.45:
            words[third, "validate"] = self.pick("fail fail hang")
            words[third, "stop"] = self.pick("ok fail fail lie")
        want = self.random.choice([third, third, third, second, None, first])
        acts.append({"want": want, "words": words, "transition": self.pick("replace replace replace swallow no-stop")})
        if chance() < 0.5:
            acts.append({"want": self.random.choice(VERSIONS), "words": stays if chance() < 0.3 else {}})
        return acts

    def choose(self, before):
        """What is wanted, {service: (version, transition)}; how it is removed; where it is cut, or None."""
        wanted, removals, cut = {}, {}, None
        calm = self.random.random() < 0.25  # all is well for once
        for name in self.names:
            act = None
            if not self.plots.get(name) and self.random.random() < 0.75:
                self.plots[name] = self.plot(name, before.get(name))
            if self.plots.get(name):
                act = self.plots[name].pop(0)
            version = self.random.choice(VERSIONS) if self.random.random() < 0.88 else None
            transition = self.random.choice(TRANSITIONS)
            removals[name] = self.random.choice(REMOVALS)
            if act:
                version, transition = act["want"], act.get("transition", "replace")
                removals[name] = act.get("removal", "remove")
                if "cut" in act and not cut:
                    cut = ".".join((name, *act["cut"])), act["signal"]
            if version:
                wanted[name] = version, transition
            for version in VERSIONS:
                for hook, words in {**WORDS, "daemon": ["ok"] * 8 + ["fail"]}.items():
                    key = name, version, hook
                    # Half of what went wrong goes on to: so what is left over stays in the way.
                    if key not in self.words or self.random.random() < 0.5:
                        self.words[key] = self.random.choice(words)
                    word = act["words"].get((version, hook), "ok") if act else "ok" if calm else self.words[key]
                    with open(os.path.join(self.root, "ctl", f"{name}.{version}.{hook}"), "w") as file:
                        file.write(word + "\n")
                    if word != "ok":
                        self.story.append(f"    {name} {version} {hook}: {word}")
        return wanted, removals, cut

    def site(self, wanted, removals):
        services, removed = [], []
        for name in self.names:
            # A service that no host has any more is of another class, so that its own removal is used.
            version, transition = wanted.get(name, (VERSIONS[0], "replace"))
            kind = self.kinds[name, version]

            def program(hook, maker="program", limit=" #:limit 1"):
                more = ' "alive"' if kind["alive"] or kind["daemon"] else ' "none"'
                flavour = kind["flavour"]
                return f'({maker} "{self.act}" "{hook}" "{name}" "{version}" "{flavour}"{more}{limit})'

            fields = [f'(name "{name}") (version "{version}") (switch-to-service {transition})']
            fields.append(f"(remove-service {removals[name]})")
            if kind["daemon"]:
                fields.append(f'(start {program("daemon", "daemon", "")})')
            else:
                fields.append(f'(start {program("start")}) (stop {program("stop")})')
                if kind["alive"]:
                    fields.append(f'(alive? {program("alive")})')
            if kind["validate"]:
                fields.append(f'(validate {program("validate")})')
            (services if name in wanted else removed).append("(service " + " ".join(fields) + ")")
        return SITE.replace("{services}", " ".join(services)).replace("{removed}", " ".join(removed))

    def run(self, *words, cut=None):
        """Its exit status, output and errors. CUT: (service.version.hook, the signal that it is sent in there)."""
        here, given = (os.path.join(self.root, "ctl", name) for name in ("cut-here", "cut"))
        with open(os.path.join(self.root, "out"), "wb") as out, open(os.path.join(self.root, "err"), "wb") as err:
            if cut:
                with open(given, "w") as file:
                    file.write(cut[0] + "\n")
            # Into files: what a killed one leaves behind holds its output open.
            files = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
            done = subprocess.Popen([*self.tutti, *words], cwd=self.root, **files)
            self.was_cut = False
            until = time.monotonic() + 300
            while True:
                try:
                    done.wait(0.02 if cut else 300)
                    break
                except subprocess.TimeoutExpired:
                    if time.monotonic() > until:
                        done.kill()
                        raise
                if cut and os.path.exists(here):
                    self.story.append(f"    {cut[1]} in {cut[0]}")
                    done.send_signal(signal.SIGKILL if cut[1] == "KILL" else signal.SIGINT)
                    if cut[1] == "TWICE":
                        time.sleep(0.1)  # two at once are one
                        done.send_signal(signal.SIGINT)
                    if cut[1] != "INT":
                        done.wait(60)
                    os.remove(here)
                    cut, self.was_cut = None, True
        if cut and os.path.exists(given):
            os.remove(given)
        texts = []
        for name in ("out", "err"):
            with open(os.path.join(self.root, name), encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
        return done.returncode, *texts

    def settle(self):
        """Waits until no hook runs any more: after a kill they go on to their end, or to their limit."""
        act, until = self.act.encode(), time.monotonic() + 60
        while time.monotonic() < until:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as line:
                        if act in line.read().split(b"\0"):
                            break
                except (FileNotFoundError, ProcessLookupError):
                    pass
            else:
                return
            time.sleep(0.05)
        raise TimeoutError("a hook does not end")

    def die(self, real):
        """What runs of a service dies by itself."""
        name = self.random.choice(self.names)
        for version, pids in real[name].items():
            self.story.append(f"  {name} {version} dies: {pids}")
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            kind = self.kinds[name, version]
            if not (kind["daemon"] or kind["alive"] or kind["validate"]):
                self.unseen.add((name, version))
        while any(self.running()[name].values()):
            time.sleep(0.01)

    def deploy(self):
        before = self.manifest()
        wanted, removals, cut = self.choose(before)
        real = self.running()
        if self.random.random() < 0.1:
            self.die(real)
        # A transition of the site that does not stop the old one leaves it running: its author meant that. What
        # is left over is stopped for him.
        for name, (_, transition) in wanted.items():
            entry = before.get(name)
            if transition == "no-stop" and entry:
                old = entry.get("new" if entry["state"] == "deployed" else "old")
                self.excused |= real[name].get(self.version(old), set())
        # So does a removal that does not stop what nothing can tell about.
        for name in self.names:
            for version, pids in real[name].items():
                kind = self.kinds[name, version]
                if name not in wanted and removals[name] != "remove" and not (kind["daemon"] or kind["alive"]):
                    self.excused |= pids
        with open(os.path.join(self.root, "site.scm"), "w") as file:
            file.write(self.site(wanted, removals))
        self.story.append(f"  deploy {wanted} {removals}")
        status, out, err = self.run("deploy", "site.scm", "--yes", "--json", cut=cut)
        report = json.loads(out) if out.strip().startswith("{") else None
        was_cut = self.was_cut
        if was_cut:
            self.settle()
            _, text, _ = self.run("abandon", "site.scm")
            self.story.append(f"    abandon: {text.strip()}")
        gone, said_by_check, started = self.lies()
        said_to_run = said_by_check | started
        for name, version in said_to_run:
            kind = self.kinds[name, version]
            if not (kind["daemon"] or kind["alive"] or kind["validate"]):
                self.unseen.add((name, version))
        said_to_run |= self.unseen
        # After a roll back what runs is asked: that a start says so is not enough where something can tell.
        verified = said_by_check | self.unseen
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
        if report is None and status != 0 and not was_cut:
            wrong.append(f"no report: {err}")
        if report and status != report.get("exit_status", 0) and status >= 0:  # with nothing to do it is the plan
            wrong.append(f"exit status {status}, the report has {report['exit_status']}")
        for name in self.names:
            swallows = wanted.get(name, ("", ""))[1] == "swallow"
            self.judge(name, wanted, before.get(name), after.get(name), outcomes.get(name), status,
                       real[name], said_to_run, verified, swallows, wrong)
        if self.random.random() < 0.3:
            self.judge_status(after, real, wrong)
        return wrong

    @staticmethod
    def version(definition):
        return ((definition or {}).get("running") or {}).get("version")

    @staticmethod
    def claim(entry):
        return entry["state"], Sequence.version(entry.get("new"))

    def only(self, versions, version, name, said_to_run, what, wrong, swallows=False):
        """VERSION and nothing else runs, but for what hooks lied about."""
        if version and not versions.get(version) and (name, version) not in said_to_run:
            kind = self.kinds[name, version]
            # What looks at any version takes one for it that a hook said to be gone.
            is_mistaken = kind["flavour"] == "any" and not kind["daemon"] and any(versions.values())
            # A site that swallows the failure of a start of what nothing can tell about says that itself.
            if not is_mistaken and not (swallows and not kind["daemon"] and not kind["alive"]):
                wrong.append(f"{name}: {what} {version}, which does not run")
        for other, pids in versions.items():
            if other != version and pids - self.excused:
                wrong.append(f"{name}: {what} {version}, but {other} runs: {pids - self.excused}")

    def judge(self, name, wanted, before, after, outcome, status, versions, said_to_run, verified,
              swallows, wrong):
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
            self.only(versions, version, name, verified, "rolled back to", wrong)
        elif outcome in ("failed", "roll-back-failed", "unknown"):
            if status != 4:
                wrong.append(f"{name}: {outcome}, but exit status {status}")
            if state in ("deployed", "gone") and outcome != "unknown":
                wrong.append(f"{name}: {outcome}, but the manifest says {state} {version}")
        elif outcome is None and name in wanted and state == "deployed" and after == before and status in (3, 4):
            # The plan found nothing to do for it: what the entry says runs.
            self.only(versions, version, name, said_to_run, "nothing to do for", wrong, swallows)
        # Of what is half-done the entry names all that may run: nothing else is ever stopped.
        if state in ("failed", "changing"):
            named = {version, self.version(after.get("old"))}
            for other, pids in versions.items():
                if other not in named and pids - self.excused:
                    wrong.append(f"{name}: {other} runs, which the manifest ({state}) does not name: {pids}")
        # A deploy that was cut off wrote at most what is so.
        elif outcome in (None, "unknown") and after != before and after:
            self.only(versions, version, name, said_to_run, "the manifest says, after a cut,", wrong, swallows)
        # An entry that says more than `failed` is believed by the next plan.
        if outcome in ("upgraded", "rolled-back") and state == "deployed":
            self.only(versions, version, name, said_to_run, "the manifest says deployed", wrong, swallows)

    def judge_status(self, manifest, real, wrong):
        _, out, _ = self.run("status", "site.scm")
        gone, said_to_run, _ = self.lies()
        self.excused |= gone
        for line in out.splitlines():
            found = re.match(r"\S+\s+h1\s+(\S+)\s+(\S+)\s+(deployed|dead)\b", line)
            if not found:
                continue
            name, version, state = found.groups()
            pids, kind = real[name].get(version, set()), self.kinds[name, version]
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
    parser.add_argument("--first", action="store_true", help="end at the first that fails")
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
                if options.first:
                    stopped.set()
                print(f"FAIL  sequence {sequence.seed}")
                print("\n".join(sequence.story))
                print("\n".join("  WRONG: " + line for line in wrong), flush=True)
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    seconds = round(time.monotonic() - begun)
    short = f" of {options.sequences}" if done < options.sequences else ""
    verdict = f", {failed} of them with a false word" if failed else " without a false word"
    print(f"{done} sequences{short}{verdict} ({seconds} s, seed {first})")
    sys.exit(130 if stopped.is_set() else 1 if failed or not done else 0)


if __name__ == "__main__":
    main()
