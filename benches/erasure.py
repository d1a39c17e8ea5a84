"""How long an erasure takes while a server runs, and what other clients wait meanwhile.

    cargo build --release && python3 benches/erasure.py target/release/idmerge --events 1000000

Imports the events of about 50,000 people, among them one with every thousandth event, and erases this one.
"""

import argparse
import http.client
import json
import os
import random
import subprocess
import tempfile
import threading
import time

SECRET = "a long secret of the shop"
PORT = 18990
HEADERS = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
CONFIG = f"""
listen = "127.0.0.1:{PORT}"
erasure_delay_s = 0
[[project]]
token = "shop"
engine = "simplified"
secret = "{SECRET}"
"""


def ask(client, method, path, body=None):
    client.request(method, path, None if body is None else json.dumps(body), HEADERS)
    answer = client.getresponse()
    return answer.status, answer.read()


def client():
    return http.client.HTTPConnection("127.0.0.1", PORT, timeout=600)


def event(number, events, chance):
    person = chance.randrange(events // 20)
    user, device = f"user-{person}@example.com", f"device-{person}-{chance.randrange(2)}"
    if number % 1000 == 0:
        user, device = "ada@example.com", "device-of-ada"
    return {"event": "View", "properties": {
        "$user_id": user, "$device_id": device, "distinct_id": user, "time": 1_700_000_000 + number,
        "$insert_id": f"i{number}", "page": f"/products/{chance.randrange(10_000)}", "browser": "Firefox",
        "city": "Utrecht", "price": chance.randrange(10_000),
    }}


class Other(threading.Thread):
    """Another client, which makes one request after the other, each until it is answered."""

    def __init__(self, name, request):
        super().__init__()
        self.name, self.request = name, request
        self.waits_ms, self.refused, self.is_over = [], 0, False

    def run(self):
        connection, number = client(), 0
        while not self.is_over:
            number += 1
            request = self.request(number)
            start = time.perf_counter()
            while ask(connection, *request)[0] != 200:
                self.refused += 1
                # Sooner than any SDK, so that the figure is that of the server.
                time.sleep(0.1)
            self.waits_ms.append((time.perf_counter() - start) * 1000)
            time.sleep(0.005)

    def report(self, when):
        waits, refused = sorted(self.waits_ms), self.refused
        self.waits_ms, self.refused = [], 0
        p50, p99 = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
        print(f"{self.name} {when}: {len(waits)} requests, p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
              f"longest {waits[-1]:.0f} ms, {refused} times 503")


def track(number):
    return "POST", "/track", [{"event": "View", "properties": {
        "token": "shop", "distinct_id": f"user-{number % 1000}@example.com", "$insert_id": f"t{number}",
        "time": int(time.time()),
    }}]


def events_of_a_user(number):
    return "GET", f"/v1/users/user-{number % 1000}@example.com/events?limit=20"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("idmerge")
    parser.add_argument("--events", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "idmerge.toml")
        with open(config, "w") as file:
            file.write(CONFIG)
        data = os.path.join(folder, "data")
        server = subprocess.Popen([args.idmerge, "serve", "--data", data, "--config", config])
        try:
            measure(args.events, data)
        finally:
            server.terminate()
            server.wait()


def measure(events, data):
    connection, chance = client(), random.Random(1)
    for _ in range(200):
        try:
            connection.connect()
            break
        except OSError:
            time.sleep(0.05)
    for first in range(0, events, 2000):
        part = [event(number, events, chance) for number in range(first, min(first + 2000, events))]
        status, answer = ask(connection, "POST", "/import?strict=1", part)
        assert status == 200, answer
    size = os.path.getsize(os.path.join(data, "shop", "store.redb"))
    print(f"{events} events, {size >> 20} MiB")
    others = [Other("/track", track), Other("/v1/users/…/events", events_of_a_user)]
    for other in others:
        other.start()
    time.sleep(5)
    for other in others:
        other.report("before")
    start = time.perf_counter()
    api = "/api/app/data-deletions/v3.0"
    status, answer = ask(connection, "POST", f"{api}/?token=shop", {"distinct_ids": ["ada@example.com"]})
    assert status == 201, answer
    print(f"POST data-deletions: {(time.perf_counter() - start) * 1000:.1f} ms")
    path = f"{api}/{json.loads(answer)['results']['task_id']}?token=shop"
    while json.loads(ask(connection, "GET", path)[1])["results"]["status"] != "SUCCESS":
        time.sleep(0.01)
    print(f"carried out after {time.perf_counter() - start:.2f} s")
    time.sleep(1)
    receipt = json.loads(ask(connection, "GET", path)[1])["results"]["receipt"]
    assert receipt["events_erased"] == events // 1000, receipt
    for other in others:
        other.report("from the POST until a second after")
        other.is_over = True
        other.join()


main()
