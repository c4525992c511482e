"""Answers any request with what it has read from the files beside it. Behind nginx, on port 8000."""

import http.server
import pathlib

HERE = pathlib.Path(__file__).parent


def report():
    # At the first request, as large applications load their parts.
    import csv
    import decimal
    import hashlib
    import json
    import sqlite3
    import string

    settings = json.loads((HERE / "settings.json").read_text("utf-8"))
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE stock (kind, name, count, price)")
    with open(HERE / "stock.csv", encoding="utf-8", newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    database.executemany("INSERT INTO stock VALUES (?, ?, ?, ?)", rows)
    worth = sum(
        int(count) * decimal.Decimal(price)
        for count, price in database.execute("SELECT count, price FROM stock")
    )
    kinds = database.execute("SELECT count(DISTINCT kind) FROM stock").fetchone()[0]
    names = [name for (name,) in database.execute("SELECT name FROM stock ORDER BY name")]
    template = string.Template((HERE / "report.txt").read_text("utf-8"))
    total = worth * (1 + decimal.Decimal(settings["vat"]))
    text = template.substitute(shop=settings["shop"], kinds=kinds, worth=f"{total:.2f}")
    return json.dumps(
        {
            "report": text.strip(),
            "names": names,
            "digest": hashlib.sha256((HERE / "stock.csv").read_bytes()).hexdigest(),
        },
        ensure_ascii=False,
    )


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = report().encode("utf-8")
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
