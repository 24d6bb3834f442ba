#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-3.0-or-later
"""The web shop's application: takes orders and keeps them in a database.

usage: app.py ADDRESS PORT VERSION DATABASE GATE [--sick]      (DATABASE is ADDRESS:PORT)

  POST /orders {"id": "..."}    201: it is in the database
  GET /orders                   how many there are
  GET /orders/ids               all of them
  GET /health                   is this process well?

While the file GATE/hold exists, what needs the database waits. GATE/held says that nothing is under way
and no connection open; GATE/lock is locked as long as we live. See gate.sh.
"""
import contextlib
import fcntl
import http.server
import json
import os
import resource
import socketserver
import sys
import threading

import psycopg2

ADDRESS, PORT, VERSION, DATABASE, GATE = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
SICK = "--sick" in sys.argv[6:]
MOST_CONNECTIONS = 8


class Gate:
    """Lets requests to the database through, or not. Keeps connections."""

    def __init__(self):
        self.lock = open(f"{GATE}/lock", "a")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.changed = threading.Condition()
        self.connections, self.inside = [], 0
        self.say(False)  # of an earlier process; only now the wish is read
        self.held = os.path.exists(f"{GATE}/hold")
        self.say(self.held)
        threading.Thread(target=self.watch, daemon=True).start()

    @staticmethod
    def say(held):
        if held:
            open(f"{GATE}/held", "w").close()
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{GATE}/held")

    def watch(self):
        with self.changed:
            while True:
                hold = os.path.exists(f"{GATE}/hold")
                if hold and not self.held:
                    self.held = True
                    self.changed.wait_for(lambda: self.inside == 0)
                    while self.connections:
                        self.connections.pop().close()
                    self.say(True)
                elif self.held and not hold:
                    self.held = False
                    self.say(False)
                    self.changed.notify_all()
                self.changed.wait(0.02)

    @contextlib.contextmanager
    def connection(self):
        with self.changed:
            self.changed.wait_for(lambda: not self.held and self.inside < MOST_CONNECTIONS)
            self.inside += 1
            connection = self.connections.pop() if self.connections else None
        try:
            connection = connection or connect()
            yield connection
        except BaseException:
            if connection:
                connection.close()
            raise
        finally:
            with self.changed:
                if connection and not connection.closed:
                    self.connections.append(connection)
                self.inside -= 1
                self.changed.notify_all()


class Connection(psycopg2.extensions.connection):
    has_channel = False


def connect():
    host, port = DATABASE.rsplit(":", 1)
    connection = psycopg2.connect(host=host, port=port, user="shop", dbname="shop", connect_timeout=10,
                                  connection_factory=Connection)
    connection.autocommit = True
    # The schema does not change while we are connected.
    connection.has_channel = bool(query(connection, "SELECT 1 FROM information_schema.columns "
                                                    "WHERE table_name = 'orders' AND column_name = 'channel'"))
    return connection


def query(connection, statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            self.reply(500 if SICK else 200, f"app {VERSION} is {'not ' if SICK else ''}well")
        elif self.path == "/orders":
            self.answer(lambda c: (200, query(c, "SELECT count(*) FROM orders")[0][0]))
        elif self.path == "/orders/ids":
            self.answer(lambda c: (200, [row[0] for row in query(c, "SELECT id FROM orders")]))
        else:
            self.reply(404, "there is nothing here")

    def do_POST(self):
        try:
            order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["id"]
        except (ValueError, KeyError, TypeError):
            return self.reply(400, 'an order is {"id": "..."}')
        if self.path != "/orders":
            return self.reply(404, "there is nothing here")
        self.answer(lambda c: (201, self.place(c, order)))

    def place(self, connection, order):
        if connection.has_channel and VERSION != "1":
            query(connection, "INSERT INTO orders (id, channel) VALUES (%s, 'web')", order)
        else:
            query(connection, "INSERT INTO orders (id) VALUES (%s)", order)
        return order

    def answer(self, work):
        try:
            with GATE_KEEPER.connection() as connection:
                status, value = work(connection)
        except psycopg2.Error as error:
            return self.reply(503, str(error).strip())
        self.reply(status, value)

    def reply(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-App", VERSION)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *arguments):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self):  # HTTPServer would look its own name up
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each request that waits is one
GATE_KEEPER = Gate()
Server((ADDRESS, PORT), Shop).serve_forever()
