# SPDX-License-Identifier: LGPL-3.0-or-later
"""Random sequences of a site whose services have files at paths where others have files, links or nothing; starts
that fail, edits in between, removals. What others have is as it was, or is kept; when all services are gone, the
tree is the one of the beginning. Usage: files-property.py FIRST-SEED SEQUENCES, in an empty folder."""

import json
import os
import random
import shutil
import stat
import subprocess
import sys

ROOT = os.geteuid() == 0
SITE = """
(use-modules (tutti) (ice-9 match))
(define (at path content mode owner)
  (file path (plain-file "f" content) #:mode mode #:owner owner))
(define (at-data name content) (file (list (data-directory "own") "/" name) (plain-file "f" content)))
(define services
  (map (match-lambda
         ((n v user ok? files own)
          (service (name n) (version v) (user user)
                   (files (append (map (lambda (f) (apply at f)) files)
                                  (map (lambda (f) (apply at-data f)) own)))
                   (start (if ok? (daemon "sleep" "9411") (daemon "sh" "-c" "echo no; exit 1"))))))
       (call-with-input-file "services" read)))
(site-configuration
 (name "property") (platform (local-platform "hosts"))
 (host-classes (list (host-class (name "c") (services services))))
 (host-class->hosts (inventory-list `("c" ,(host (name "h1"))))))
"""
STAYS = ("hosts/h1/.tutti", "hosts/h1/data", "hosts/h1/store")  # our state, data directories, the store
POOL = ["etc/p0", "etc/p1", "etc/p 2", "etc/conf.d/q0", "etc/conf.d/q1", "new/r0", "new/deep/r1", "new/deep/er/r2"]


def look(path):
    """What stands at a path, as one value."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(status.st_mode):
        return ("link", os.readlink(path))
    if stat.S_ISDIR(status.st_mode):
        return ("directory", stat.S_IMODE(status.st_mode))
    with open(path) as file:
        return ("file", file.read(), stat.S_IMODE(status.st_mode), status.st_uid, int(status.st_mtime))


def tree(folder):
    paths = [os.path.join(at, name) for at, folders, files in os.walk(folder) for name in folders + files]
    return {path: look(path) for path in paths if not path.startswith(STAYS)}


class Sequence:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.serial = 0
        self.log = []
        self.have = {}  # service -> its files, path -> (content, mode), or None where that is not known
        self.edits = {}  # path -> what somebody wrote over a file of ours, and we have not met yet
        self.met = []  # and have met
        shutil.rmtree("hosts", ignore_errors=True)
        shutil.rmtree(".tutti", ignore_errors=True)
        os.makedirs("hosts/h1/etc/conf.d")
        with open("site.scm", "w") as file:
            file.write(SITE)
        for path in POOL[:5]:
            if self.random.random() < 0.7:
                self.write("hosts/h1/" + path)
        self.foreign = {"hosts/h1/" + path: look("hosts/h1/" + path) for path in POOL}
        self.start = tree("hosts")

    def write(self, path):
        """Somebody puts a file or a link of his there, like no other. What stands there then."""
        self.serial += 1
        if os.path.lexists(path):
            os.remove(path)
        if self.random.random() < 0.3:
            os.symlink(self.random.choice(["/no where/%d:", "conf.d/%d", "../etc/%d", "%d"]) % self.serial, path)
        else:
            with open(path, "w") as file:
                file.write("of somebody, %d\n" % self.serial * self.random.choice([1, 1, 50]))
            os.chmod(path, self.random.choice([0o644, 0o600, 0o640, 0o755, 0o4711, 0o444]))
            if ROOT and self.random.random() < 0.3:
                mode = stat.S_IMODE(os.lstat(path).st_mode)
                os.chown(path, 65534, 65534)
                os.chmod(path, mode)
            os.utime(path, (1e9 + self.serial, 1e9 + self.serial))
        return look(path)

    def claimed(self):
        """The paths that are ours, by the host's own record."""
        try:
            with open("hosts/h1/.tutti/site-property/files") as file:
                lines = file.read().split("\n")[1:]
        except FileNotFoundError:
            return set()
        full = os.getcwd() + "/"
        return {line.split(" ")[-1].replace("%20", " ").replace("%25", "%")[len(full):] for line in lines if line}

    def edit(self):
        path = "hosts/h1/" + self.random.choice(POOL)
        if not os.path.isdir(os.path.dirname(path)):
            return
        ours = path in self.claimed()
        if self.random.random() < 0.3:
            if os.path.lexists(path):
                os.remove(path)
            now = None
        else:
            now = self.write(path)
        self.log.append("edit %s %s%s" % (path, now, " (ours)" if ours else ""))
        if ours:
            self.edits[path] = now
        else:
            self.foreign[path] = now
            if now is None:
                self.start.pop(path, None)
            else:
                self.start[path] = now

    def deploy(self, services):
        with open("services", "w") as file:
            file.write("(%s)" % " ".join(services.values()))
        done = subprocess.run(["tutti", "deploy", "site.scm", "--yes", "--json"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.log.append("deploy %s: %s\n%s" % (list(services.values()), done.returncode, done.stdout))
        at = done.stdout.find("{")
        assert done.returncode in (0, 3, 4), done.stdout
        if at < 0:
            return {}
        return {step["service"]: step["outcome"] for step in json.loads(done.stdout[at:])["steps"]}

    def definition(self, name, paths, ok):
        self.serial += 1
        files, listed = {}, ""
        for path in paths:
            content = "of %s, %s\n" % (name, self.random.choice([self.serial, "same"]))
            mode = self.random.choice([0o644, 0o600, 0o755])
            owner = '"nobody"' if ROOT and self.random.random() < 0.2 else "#f"
            files["hosts/h1/" + path] = (content, mode)
            listed += '("%s" %s #o%o %s)' % (path, json.dumps(content), mode, owner)
        user, own = "#f", ""
        if ROOT and self.random.random() < 0.3:
            user, own = '"nobody"', '("own" "own %d\n")("below/own" "own\n")' % self.serial
        ok = "#t" if ok else "#f"
        return files, '("%s" "%d" %s %s (%s) (%s))' % (name, self.serial, user, ok, listed, own)

    def step(self):
        for _ in range(self.random.randrange(3)):
            self.edit()
        paths = self.random.sample(POOL, self.random.randrange(len(POOL) + 1))
        want, services = {}, {}
        for name in self.random.sample(["a", "b", "c"], self.random.randrange(4)):
            count = self.random.randrange(len(paths) + 1)
            mine, paths = paths[:count], paths[count:]
            want[name], services[name] = self.definition(name, mine, self.random.random() < 0.7)
        self.settle(want, self.deploy(services))

    def settle(self, want, outcomes):
        for name, outcome in outcomes.items():
            if outcome == "upgraded":
                self.have[name] = want.get(name, {})
            elif outcome not in ("rolled-back", "unchanged", "skipped"):
                self.have[name] = None
        self.check()

    def check(self):
        claimed = self.claimed()
        kept = self.kept()
        for path, edit in list(self.edits.items()):
            if look(path) == edit:
                continue
            del self.edits[path]
            if edit is not None:
                self.met.append(edit)
        for edit in self.met:
            assert edit[:2] in kept, "an edit is lost: %s" % (edit,)
        for path, was in self.foreign.items():
            if path not in claimed:
                assert look(path) == was, "%s is %s, and was %s" % (path, look(path), was)
            elif was is not None:
                assert was[:2] in kept, "what stood at %s is not kept: %s" % (path, was)
        if None in self.have.values():
            return
        holders = {}
        for name, files in self.have.items():
            for path in files:
                holders.setdefault(path, []).append(name)
        for path, names in holders.items():
            if path in self.edits:
                continue
            now = look(path)
            allowed = [("file",) + self.have[name][path] for name in names]
            assert now and now[:3] in allowed, "%s is %s, not of %s: %s" % (path, now, names, allowed)
        assert claimed - {p for p in claimed if "/own/" in p} <= set(holders), (claimed, holders)

    def kept(self):
        folder = "hosts/h1/.tutti/site-property/k"
        if not os.path.isdir(folder):
            return set()
        return {look(os.path.join(folder, name))[:2] for name in os.listdir(folder)}

    def run(self, steps):
        try:
            for _ in range(steps):
                self.step()
            for _ in range(3):  # what failed to stop or to release is repaired first
                outcomes = self.deploy({})
                self.settle({}, outcomes)
                if not any(self.have.values()) and None not in self.have.values():
                    break
            now = tree("hosts")
            for path in sorted(now, reverse=True):  # a folder of ours in which somebody put something stays
                if now[path][0] == "directory" and path not in self.start and os.listdir(path):
                    del now[path]
            assert now == self.start, "at the end: %s" % sorted(set(now.items()) ^ set(self.start.items()))
            assert not self.claimed()
        finally:
            self.log.append("")


def main():
    first, count = int(sys.argv[1]), int(sys.argv[2])
    for seed in range(first, first + count):
        sequence = Sequence(seed)
        try:
            sequence.run(4)
        except AssertionError as error:
            print("\n".join(sequence.log))
            print("seed %d: %s" % (seed, error))
            sequence.deploy({})
            sys.exit(1)
        if not ROOT or os.path.isdir("hosts"):
            shutil.rmtree("hosts")
    print("seeds %d to %d" % (first, first + count - 1))


main()
