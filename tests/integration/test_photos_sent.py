# SPDX-License-Identifier: GPL-3.0-or-later
"""How photos are sent: their quality, and what a large one costs."""

import io
import os
import pathlib

import pytest
import rpc
from gallery import Fronted, Gallery, content, state
from people import People, until
from PIL import Image
from test_conversation import open_photo, send_photo

FLAT = 16 << 20  # bytes by which moving a photo of any size may raise the memory of a daemon with sanitizers
LARGE = 100 << 20


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


def jpeg(size, **options):
    """A photo with a place in its metadata."""
    exif = Image.Exif()
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    exif[0x010F] = "unmistakable-maker"
    file = io.BytesIO()
    Image.frombytes("RGB", size, os.urandom(3 * size[0] * size[1])).save(
        file, "JPEG", exif=exif, **options)
    return file.getvalue()


def sent_as(account, path):
    with account.connect() as client:
        attachment = send_photo(client, path, user_id="bob")["attachments"][0]
        return open_photo(client, attachment["attachment_id"], "full")[1]


def scan(raw):
    """What a JPEG has behind its headers."""
    return raw[raw.index(b"\xff\xda"):]


def test_quality(people, tmp_path):
    alice = people.sign_in("alice")
    original = jpeg((5000, 1000), quality=92)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(original)
    sizes = {}
    for quality, width in ("small", 1600), ("normal", 4096), ("original", 5000):
        assert alice.call("settings.set", name="photos.quality", value=quality)
        raw = sent_as(alice, photo)
        assert Image.open(io.BytesIO(raw)).width == width
        assert b"unmistakable-maker" not in raw and not Image.open(io.BytesIO(raw)).getexif()
        sizes[quality] = len(raw)
    assert scan(raw) == scan(original), "the photo's own pixels"
    assert sizes["small"] < sizes["normal"] < sizes["original"]
    with pytest.raises(rpc.RpcError) as error:
        alice.call("settings.set", name="photos.quality", value="best")
    assert error.value.kind == "invalid"


def peak(account):
    """The most memory that the daemon has had so far, in bytes."""
    status = pathlib.Path(f"/proc/{account.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


LEAN = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0:"
                        "thread_local_quarantine_size_kb=0"}


def test_a_large_photo_goes_out_in_little_memory(people, tmp_path):
    alice = people.sign_in("alice", environment=LEAN)
    alice.call("settings.set", name="photos.quality", value="original")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg((800, 800)))
    with alice.connect() as client:
        send_photo(client, photo, user_id="bob")
    until(lambda: alice.messages("bob")[-1]["status"] == "SENT")
    photo.write_bytes(jpeg((6500, 6500), quality=95, subsampling=0))
    assert 90 << 20 < photo.stat().st_size < 100 << 20  # what the backend takes
    before = peak(alice)
    with alice.connect() as client:
        send_photo(client, photo, user_id="bob")
    until(lambda: [m["status"] for m in alice.messages("bob")] == ["SENT", "SENT"])
    grown = peak(alice) - before
    print(f"{photo.stat().st_size} bytes sent, memory grew by {grown}")
    assert grown < FLAT


def test_a_large_photo_comes_in_in_little_memory(tmp_path):
    with Fronted(tmp_path) as people:
        bob = people.sign_in("bob", environment=LEAN)
        gallery = Gallery(people, tmp_path / "nginx")
        try:
            first = gallery.send(os.urandom(1 << 20))
            until(lambda: state(bob, first) == "READY")
            before = peak(bob)
            raw = os.urandom(LARGE)
            large = gallery.send(raw)
            until(lambda: state(bob, large) == "READY")
            grown = peak(bob) - before
            assert content(bob, large) == raw
        finally:
            gallery.nginx.stop()
    print(f"{LARGE} bytes received, memory grew by {grown}")
    assert grown < FLAT
