"""A modern ClickHouse engine behind as much of its HTTP interface as the journal speaks.

The engine is the real one, in this process (the `chdb-core` package); only the door is ours: one statement at a time,
statements in the body or in `query`, rows to insert in the body behind a statement in `query`.

    python3 serve.py PORT
"""

import http.server
import os
import sys
import tempfile
import urllib.parse

from chdb import session

folder = tempfile.TemporaryDirectory()
engine = session.Session(os.path.join(folder.name, "data"))


def run(statement, database, format_name, rows):
    engine.query(f"USE `{database}`")
    if statement.lstrip().upper().startswith("INSERT"):
        head, _, rows_format = statement.rpartition(" FORMAT ")
        with tempfile.NamedTemporaryFile(dir=folder.name) as file:
            file.write(rows)
            file.flush()
            return engine.query(f"{head} SELECT * FROM file('{file.name}', '{rows_format.strip()}')").bytes()
    return engine.query(statement, format_name).bytes()


class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_POST(self):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        database = asked.get("database") or self.headers.get("X-ClickHouse-Database") or "default"
        format_name = asked.get("default_format", "TabSeparated")
        body = self.body()
        statement, rows = (asked["query"], body) if "query" in asked else (body.decode(), b"")
        try:
            status, answer = 200, run(statement, database, format_name, rows)
        except Exception as error:  # the engine's own words, as its server would send them
            status, answer = 500, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
