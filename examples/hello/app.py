#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-3.0-or-later
"""A small HTTP application: says hello, and whether it is well.

usage: app.py ADDRESS PORT VERSION [--sick]
"""
import http.server
import socketserver
import sys

ADDRESS, PORT, VERSION = sys.argv[1], int(sys.argv[2]), sys.argv[3]
SICK = "--sick" in sys.argv[4:]


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = not (SICK and self.path == "/health")
        text = f"hello from app {VERSION} at {ADDRESS}\n" if well else f"app {VERSION} is not well\n"
        self.send_response(200 if well else 500)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, form, *arguments):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def server_bind(self):  # HTTPServer would look its own name up
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


Server((ADDRESS, PORT), Hello).serve_forever()
