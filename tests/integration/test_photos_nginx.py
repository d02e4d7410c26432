# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads from nginx, and what can be wrong with them: ranges, changed copies, bodies cut short or slow."""

import os
import random

import pytest
from gallery import Fronted, Gallery, content, state
from people import until

SIZE = 3 << 20


@pytest.fixture
def people(tmp_path):
    with Fronted(tmp_path) as people:
        yield people


@pytest.fixture
def gallery(people, tmp_path):
    gallery = Gallery(people, tmp_path / "nginx")
    yield gallery
    gallery.nginx.stop()


@pytest.fixture
def bob(people):
    bob = people.sign_in("bob")
    bob.call("settings.set", name="auto_download", value="never")
    return bob


def begun(people, gallery, bob, raw):
    """A photo of which a part has come when the daemon was killed."""
    photo = gallery.send(raw)
    until(lambda: state(bob, photo) == "WAITING")
    until(lambda: bob.call("daemon.status")["transfers"] == {"active": 0, "waiting": 0})
    done = people.front.when("down", SIZE // 2, bob.process.kill)
    bob.call("attachments.download", attachment_id=photo)
    done.wait(60)
    bob.process.wait()
    people.front.requests.clear()
    return photo


def asked(people, photo):
    return [r for r in people.front.requests if f"{photo}/full" in r]


def test_a_download_goes_on_where_it_was(people, gallery, bob):
    raw = random.Random(3).randbytes(SIZE)
    photo = begun(people, gallery, bob, raw)
    bob.start()
    until(lambda: state(bob, photo) == "READY")
    assert content(bob, photo) == raw
    [request] = asked(people, photo)
    assert "Range: bytes=" in request and "If-Range: " in request
    assert people.front.counts["down"] < SIZE + SIZE // 2


def test_another_copy_starts_over(people, gallery, bob):
    """The tag changes with the file's time; the bytes must then all be fetched again."""
    raw = random.Random(4).randbytes(SIZE)
    photo = begun(people, gallery, bob, raw)
    os.utime(gallery.nginx.root / f"{photo}.full", (1000000000, 1000000000))
    bob.start()
    until(lambda: state(bob, photo) == "READY")
    assert content(bob, photo) == raw
    assert people.front.counts["down"] >= SIZE + SIZE // 4


def test_other_bytes_are_not_shown(people, gallery, bob):
    photo = begun(people, gallery, bob, random.Random(5).randbytes(SIZE))
    (gallery.nginx.root / f"{photo}.full").write_bytes(random.Random(6).randbytes(SIZE))
    os.utime(gallery.nginx.root / f"{photo}.full", (1000000000, 1000000000))
    bob.start()
    until(lambda: state(bob, photo) == "FAILED")


def test_a_file_that_has_shrunk_is_whole_again_later(people, gallery, bob):
    """The range that is asked for is not there (416): it starts over, and ends when all is there."""
    raw = random.Random(7).randbytes(SIZE)
    photo = begun(people, gallery, bob, raw)
    file = gallery.nginx.root / f"{photo}.full"
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_bytes(raw[:1000])
    bob.start()
    until(lambda: len(asked(people, photo)) >= 1)
    file.write_bytes(raw)
    os.utime(file, ns=times)
    until(lambda: state(bob, photo) in ("READY", "FAILED"))
    if state(bob, photo) == "FAILED":  # it looked in between, and was told of a smaller photo
        bob.call("attachments.download", attachment_id=photo)
        until(lambda: state(bob, photo) == "READY")
    assert content(bob, photo) == raw


def test_a_body_cut_short_is_gone_on_with(people, gallery, bob):
    raw = random.Random(8).randbytes(SIZE)
    photo = gallery.send(raw)
    until(lambda: state(bob, photo) == "WAITING")
    until(lambda: bob.call("daemon.status")["transfers"] == {"active": 0, "waiting": 0})
    people.front.requests.clear()
    for _ in range(2):
        cut = people.front.when("down", SIZE // 4, lambda: None)
        bob.call("attachments.download", attachment_id=photo)
        cut.wait(60)
    until(lambda: state(bob, photo) == "READY")
    assert content(bob, photo) == raw
    assert len(asked(people, photo)) == 3
    assert all("If-Range" in r for r in asked(people, photo)[1:])


def test_a_slow_body_can_be_cancelled(people, tmp_path, bob):
    gallery = Gallery(people, tmp_path / "slow", "limit_rate 200k;")
    try:
        photo = gallery.send(random.Random(9).randbytes(SIZE))
        until(lambda: state(bob, photo) == "WAITING")
        bob.call("attachments.download", attachment_id=photo)
        until(lambda: bob.call("attachments.get", attachment_id=photo)["progress"] > 0)
        with bob.connect() as client:
            assert client.call("attachments.cancel", attachment_id=photo)["status"] == "WAITING"
            assert client.call("daemon.status")["transfers"] == {"active": 0, "waiting": 0}
        held = bob.call("attachments.get", attachment_id=photo)["progress"]
        assert 0 < held < SIZE
    finally:
        gallery.nginx.stop()
