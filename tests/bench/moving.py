# SPDX-License-Identifier: GPL-3.0-or-later
"""A large photo, out and in: the network and the encrypted database together."""

import io
import os
import time

from backend import Backend
from receiving import sign_in
from table import interleaved, least

MIB = 1 << 20
CHUNK = 256 * 1024  # as the daemon stores bytes
BATCH = 4


def photo(side):
    """Noise, which no codec makes smaller."""
    from PIL import Image  # as in the tests of photos

    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


def wait_ready(client, attachment):
    began = time.monotonic()
    while True:
        change = client.next_change(timeout=120)
        data = change["data"]
        if data.get("attachment_id") == attachment:
            assert data["status"] != "FAILED", data
            if data["status"] == "READY":
                return {"seconds": time.monotonic() - began}


def follow(daemon):
    client = daemon.connect()
    client.call("events.subscribe", topics=["attachment.updated"])
    return client


def send(daemon, path):
    """From the answer, with which the photo is in the database, to the server's having all of it."""
    with follow(daemon) as client, open(path, "rb") as file:
        sent = client.call("messages.send", [file.fileno()], user_id="bob", text="look", attachments=[{"fd": 0}])
        return wait_ready(client, sent["attachments"][0]["attachment_id"])


def receive(daemon, bob, session, raw):
    attachment = bob.upload(raw)
    with follow(daemon) as client:
        client.call("events.subscribe", topics=["message.added", "attachment.updated"])
        session.say(bob.chat_with("alice"), "look", attachments=attachment)
        while client.next_change(timeout=60)["topic"] != "message.added":
            pass
        client.call("attachments.download", attachment_id=attachment)
        return wait_ready(client, attachment)


def patch(bench, backend, bob, path):
    location = bob.create_upload(f"a-{next(bench.names)}", "full", path.stat().st_size, width=1, height=1)
    return bench.run("bare-net", "patch", backend.url + location, bob.token, path)


def get(bench, backend, bob, attachment):
    url = bob.get(f"/attachments/{attachment}")["url"]
    return bench.run("bare-net", "get", url if "://" in url else backend.url + url, bob.token)


def chunks(bench, size):
    path = bench.new_path("chunks")
    written, read = bench.run("bare", "chunks", path, size, CHUNK, BATCH)
    path.unlink()
    return {"written": written["seconds"], "read": read["seconds"]}


def run(bench, table):
    raw = photo(bench.scaled(6400, 1500))
    path = bench.new_path("photo")
    path.write_bytes(raw)
    directory = bench.new_directory("server")
    with Backend(directory, users={"alice": "alice-pw", "bob": "bob-pw"}) as backend, bench.daemon() as daemon:
        sign_in(daemon, backend.url)
        with daemon.connect() as client:
            client.call("settings.set", name="photos.quality", value="original")
            client.call("settings.set", name="auto_download", value="never")
        bob = backend.login("bob")
        session = bob.connect()
        there = bob.upload(raw)
        out, uploads, back, downloads, stored = interleaved(
            min(bench.rounds, 3),
            lambda: send(daemon, path),
            lambda: patch(bench, backend, bob, path),
            lambda: receive(daemon, bob, session, raw),
            lambda: get(bench, backend, bob, there),
            lambda: chunks(bench, len(raw)))
    words = f"{len(raw) / MIB:.0f} MiB"
    table.add(f"a photo of {words} to the server", least(out, "seconds"), "s",
              least(uploads, "seconds") + least(stored, "read"), "<= 1.3 x")
    table.add(f"a photo of {words} from the server", least(back, "seconds"), "s",
              least(downloads, "seconds") + least(stored, "written"), "<= 1.3 x")
