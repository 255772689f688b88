"""Receives events of runs-worker: verifies the signature, recognizes repeats by their id, stores, and answers then.

Usage: WEBHOOK_KEY=whsec_... python3 receiver.py [HOST:PORT] [DATABASE]
Needs: pip install standardwebhooks
"""

import json
import os
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9000"
database = sqlite3.connect(sys.argv[2] if len(sys.argv) > 2 else "events.db")
database.execute("CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, run TEXT, type TEXT, body BLOB)")
webhook = Webhook(os.environ["WEBHOOK_KEY"])


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status = self.receive(body) if self.path == "/events" else 404
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def receive(self, body):
        """Anything but 2xx makes the worker send the event again, in its order, for days."""
        try:
            webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError:
            return 401
        try:
            event = json.loads(body)
        except ValueError:
            return 400
        # The id is the same at every attempt: what is there already is not stored again.
        with database:
            new = database.execute(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?)",
                (event["id"], event["subject"], event["type"], body),
            ).rowcount
        print("stored" if new == 1 else "repeated", event["id"], event["type"], flush=True)
        return 204

    def log_message(self, *_):
        pass


host, port = address.rsplit(":", 1)
server = HTTPServer((host, int(port)), Receiver)
print(f"listening on {host}:{server.server_port}", flush=True)
server.serve_forever()
