#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-3.0-or-later
"""The front where there is no nginx: hands each request to the next application that answers.

usage: front.py ADDRESS PORT VERSION UPSTREAM...     (an UPSTREAM is ADDRESS:PORT)
"""
import http.client
import http.server
import itertools
import socketserver
import sys

ADDRESS, PORT, VERSION, UPSTREAMS = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
TURN = itertools.count()


class Front(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        first = next(TURN)
        for i in range(len(UPSTREAMS)):
            try:
                connection = http.client.HTTPConnection(UPSTREAMS[(first + i) % len(UPSTREAMS)], timeout=2)
                connection.request("GET", self.path)
                answer = connection.getresponse()
                return self.reply(answer.status, answer.read())
            except OSError:
                continue
        self.reply(502, b"no application answers\n")

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("X-Front", VERSION)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *arguments):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def server_bind(self):  # HTTPServer would look its own name up
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


Server((ADDRESS, PORT), Front).serve_forever()
