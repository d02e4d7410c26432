# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's Web Push: whom it tells, how, and when it stops."""

import base64

import pytest

from backend import Backend
from push_service import PushService

# The public key and the secret of RFC 8291's example.
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"


@pytest.fixture
def service():
    with PushService() as service:
        yield service


@pytest.fixture
def backend(tmp_path):
    with Backend(tmp_path) as backend:
        yield backend


def register(account, endpoint, device="phone"):
    answer = account.request("PUT", "/push", {
        "endpoint": endpoint, "p256dh": P256DH, "auth": AUTH, "device_id": device})
    assert answer.status == 204


def test_every_device_of_a_user_without_a_session_is_told(backend, service):
    alice, bob = backend.login("alice"), backend.login("bob")
    register(bob, service.url("/up/phone?x=1"), "phone")
    register(bob, service.url("/up/desk"), "desk")
    session, chat = alice.connect(), alice.chat_with("bob")
    session.say(chat, "are you there?")
    posts = dict((path, (headers, body)) for path, headers, body in (service.next(), service.next()))
    assert sorted(posts) == ["/up/desk", "/up/phone?x=1"]
    for headers, body in posts.values():
        assert headers["Content-Encoding"] == "aes128gcm"
        assert headers["TTL"] == "86400" and headers["Urgency"] == "high"
        # RFC 8188: the salt, the size of a record, the sender's key; no salt and no key twice.
        assert body[16:22] == b"\x00\x00\x10\x00\x41\x04" and len(body) < 4096
        assert b"there" not in body and b"Alice" not in body
    one, other = (body for _, body in posts.values())
    assert one[:16] != other[:16] and one[21:86] != other[21:86]
    backend.wait_stats(lambda s: s["pushes_sent"] == 2)


def test_who_has_a_session_is_not(backend, service):
    alice, bob = backend.login("alice"), backend.login("bob")
    register(bob, service.url("/up"))
    there = bob.connect("desk")
    session, chat = alice.connect(), alice.chat_with("bob")
    session.say(chat, "one")
    there.send("MSG_RECEIVED", {"chat_id": chat, "message_id": there.expect("MSG_IN")["message"]["id"]})
    there.bye()
    backend.wait_stats(lambda s: s["sessions"] == 1)
    session.say(chat, "two")
    service.next()
    # Posts leave in the order of their messages: there was none of the first.
    backend.wait_stats(lambda s: s["pushes_sent"] == 1)
    assert service.posts.empty()


def test_what_may_be_lost_with_a_session_is_told(backend, service):
    alice, bob = backend.login("alice"), backend.login("bob")
    register(bob, service.url("/up"))
    there = bob.connect("desk")
    session, chat = alice.connect(), alice.chat_with("bob")
    session.say(chat, "one")
    session.say(chat, "two")
    there.expect("MSG_IN", lambda p: p["message"]["text"] == "two")
    there.bye()
    service.next()
    backend.wait_stats(lambda s: s["pushes_sent"] == 1)
    # What bob writes himself is no news to him.
    there = bob.connect("desk")
    there.say(chat, "three")
    there.bye()
    backend.wait_stats(lambda s: s["sessions"] == 1)
    session.say(chat, "four")
    service.next()
    backend.wait_stats(lambda s: s["pushes_sent"] == 2)
    assert service.posts.empty()


@pytest.mark.parametrize("status, stays", [(410, False), (404, False), (429, True), (500, True)])
def test_a_subscription_that_is_gone_is_forgotten(backend, service, status, stays):
    alice, bob = backend.login("alice"), backend.login("bob")
    register(bob, service.url("/up"))
    session, chat = alice.connect(), alice.chat_with("bob")
    service.status = status
    session.say(chat, "one")
    service.next()
    backend.wait_stats(lambda s: s["pushes_failed"] == 1)
    service.status = 201
    session.say(chat, "two")
    if not stays:
        register(bob, service.url("/new"))
        session.say(chat, "three")
    assert service.next()[0] == ("/up" if stays else "/new")
    assert service.posts.empty()


def test_a_service_that_is_not_there_costs_nothing(backend, service):
    alice, bob = backend.login("alice"), backend.login("bob")
    register(bob, "http://127.0.0.1:1/up", "phone")
    register(bob, "https://127.0.0.1:1/up", "desk")
    session, chat = alice.connect(), alice.chat_with("bob")
    session.say(chat, "one")
    backend.wait_stats(lambda s: s["pushes_failed"] == 2)
    register(bob, service.url("/up"), "phone")
    session.say(chat, "x" * 60000)
    assert len(service.next()[2]) < 1000


def test_a_key_that_is_no_point_harms_nobody(backend, service):
    alice, bob = backend.login("alice"), backend.login("bob")
    no_point = base64.urlsafe_b64encode(b"\x04" + bytes(64)).decode().rstrip("=")
    bob.request("PUT", "/push", {"endpoint": service.url("/bad"), "p256dh": no_point, "auth": AUTH,
                                 "device_id": "bad"})
    register(bob, service.url("/good"), "good")
    session, chat = alice.connect(), alice.chat_with("bob")
    session.say(chat, "one")
    assert service.next()[0] == "/good"
    backend.wait_stats(lambda s: s["pushes_failed"] == 1)
