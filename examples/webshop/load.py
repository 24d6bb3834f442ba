#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-3.0-or-later
"""Steady load on the web shop: half of it orders, half of it reads; counted from outside.

usage: load.py [--rate N] [--seconds N] FRONT...      (a FRONT is ADDRESS:PORT)

N requests a second begin when it is their time, whether others wait or not. Each order has an id of its
own. Nothing is repeated: an error or a status of 400 or more is a lost request. Ends after so many
seconds, or when it is told to (INT, TERM). Then every order that was acknowledged must be in the shop
exactly once, and none twice. Exit status: 0 nothing was lost, 1 something was.
"""
import argparse
import collections
import http.client
import itertools
import json
import resource
import signal
import sys
import threading
import time
import uuid

PATIENCE = 150  # seconds, for one request


def ask(front, method, path, body=None):
    connection = http.client.HTTPConnection(front, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise OSError(f"{method} {path}: {answer.status}: {text.decode(errors='replace').strip()[:200]}")
        return json.loads(text)
    finally:
        connection.close()


class Load:
    def __init__(self, fronts):
        self.fronts = itertools.cycle(fronts)
        self.run = uuid.uuid4().hex[:8]
        self.lock = threading.Lock()
        self.sent, self.waits, self.acknowledged, self.lost = 0, [], [], []
        self.threads = []

    def begin(self):
        self.sent += 1
        order = f"{self.run}-{self.sent}" if self.sent % 2 else None
        thread = threading.Thread(target=self.request, args=(next(self.fronts), order), daemon=True)
        self.threads = [one for one in self.threads if one.is_alive()]
        self.threads.append(thread)
        thread.start()

    def request(self, front, order):
        start = time.monotonic()
        try:
            if order:
                ask(front, "POST", "/orders", json.dumps({"id": order}))
            else:
                ask(front, "GET", "/orders")
        except (OSError, ValueError, http.client.HTTPException) as error:
            with self.lock:
                self.lost.append(f"{front}: {type(error).__name__}: {error}")
        else:
            with self.lock:
                self.waits.append(time.monotonic() - start)
                if order:
                    self.acknowledged.append(order)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.partition("usage: ")[2], add_help=False)
    parser.add_argument("--rate", type=float, default=40)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("fronts", nargs="+")
    arguments = parser.parse_args()

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each that waits is one
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *ignored: stopped.set())
    load = Load(arguments.fronts)
    start = time.monotonic()
    while not stopped.is_set() and time.monotonic() - start < arguments.seconds:
        load.begin()
        stopped.wait(max(0, start + load.sent / arguments.rate - time.monotonic()))
    for thread in load.threads:
        thread.join()

    try:
        there = collections.Counter(ask(arguments.fronts[0], "GET", "/orders/ids"))
    except (OSError, ValueError, http.client.HTTPException) as error:
        sys.exit(f"load.py: can't read the orders: {error}")
    gone = [order for order in load.acknowledged if there[order] == 0]
    twice = [order for order, count in there.items() if count > 1]
    waits = sorted(load.waits) or [0]
    print(f"{load.sent} requests in {time.monotonic() - start:.0f} s: {len(load.waits)} answered, {len(load.lost)} lost")
    print(f"{len(load.acknowledged)} orders acknowledged: {len(gone)} of them lost, {len(twice)} there twice")
    print(f"longest wait {waits[-1]:.2f} s, the median {waits[len(waits) // 2] * 1000:.0f} ms")
    for why, count in collections.Counter(load.lost).most_common(5):
        print(f"  {count} times {why}")
    for order in [*gone, *twice][:5]:
        print(f"  order {order}: {there[order]} times")
    sys.exit(1 if load.lost or gone or twice else 0)


main()
