# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS: spoken with the right certificate; with any other there is no connection, and it says why."""

import pytest
import rpc
from people import People, until
from test_conversation import PHOTO, send_photo
from tls import Authority, TlsFront

BAD = {
    "expired": "expired",
    "another_host": "host",
    "unknown_authority": "certificate",
}


@pytest.fixture
def ca(tmp_path):
    return Authority(tmp_path)


def bad_certificate(kind, ca, tmp_path):
    if kind == "expired":
        return ca.issue("DNS:localhost", days=-1)
    if kind == "another_host":
        return ca.issue("DNS:chat.example")
    return Authority(tmp_path, "stranger").issue("DNS:localhost")


@pytest.fixture
def people(tmp_path):
    with People(tmp_path) as people:
        yield people


def sign_in(people, front, ca):
    alice = people.account("alice", arguments=("--ca-file", str(ca.file)))
    alice.call("account.login", server=front.url, user_id="alice",
               password=people.backend.users["alice"])
    alice.wait_state("LIVE")
    return alice


def test_messages_and_photos_go_over_tls(people, ca):
    bob = people.sign_in("bob")
    with TlsFront(people.backend.port, ca.issue("DNS:localhost")) as front:
        alice = sign_in(people, front, ca)
        with alice.connect() as client:
            send_photo(client, PHOTO, user_id="bob")
        until(lambda: bob.texts("alice") == ["look"])
        bob.call("messages.send", user_id="alice", text="nice")
        until(lambda: alice.texts("bob") == ["look", "nice"])
        assert front.handshakes_failed == 0


@pytest.mark.parametrize("kind", BAD)
def test_no_sign_in_with_a_bad_certificate(people, ca, tmp_path, kind):
    with TlsFront(people.backend.port, bad_certificate(kind, ca, tmp_path)) as front:
        alice = people.account("alice", arguments=("--ca-file", str(ca.file)))
        with pytest.raises(rpc.RpcError) as error:
            alice.call("account.login", server=front.url, user_id="alice",
                       password=people.backend.users["alice"])
        assert error.value.kind == "offline"
        assert error.value.data["detail"].startswith("TLS: ")
        assert BAD[kind] in error.value.data["detail"]
    assert people.backend.stats()["requests_login"] == 0


@pytest.mark.parametrize("kind", BAD)
def test_a_session_ends_where_the_certificate_turns_bad(people, ca, tmp_path, kind):
    good = ca.issue("DNS:localhost")
    with TlsFront(people.backend.port, good) as front:
        alice = sign_in(people, front, ca)
        opened = people.backend.stats()["requests_ws"]
        front.use(bad_certificate(kind, ca, tmp_path))
        front.cut()

        def told():
            connection = alice.call("daemon.status")["connection"]
            return connection["state"] == "BACKOFF" and "TLS: " in connection["last_error"]

        until(told)
        assert BAD[kind] in alice.call("daemon.status")["connection"]["last_error"]
        alice.call("messages.send", user_id="bob", text="kept")
        until(lambda: front.handshakes_failed >= 2)
        assert people.backend.stats()["requests_ws"] == opened
        front.use(good)
        alice.wait_state("LIVE")
        until(lambda: alice.call("daemon.status")["outbox"] == {"pending": 0, "failed": 0})


def test_without_a_ca_file_the_systems_authorities_count(people, ca):
    """They do not know this one."""
    with TlsFront(people.backend.port, ca.issue("DNS:localhost")) as front:
        alice = people.account("alice")
        with pytest.raises(rpc.RpcError) as error:
            alice.call("account.login", server=front.url, user_id="alice",
                       password=people.backend.users["alice"])
        assert error.value.data["detail"].startswith("TLS: ")


def test_a_ca_file_that_is_not_there_trusts_nobody(people, ca, tmp_path):
    with TlsFront(people.backend.port, ca.issue("DNS:localhost")) as front:
        alice = people.account("alice", arguments=("--ca-file", str(tmp_path / "none.pem")))
        with pytest.raises(rpc.RpcError) as error:
            alice.call("account.login", server=front.url, user_id="alice",
                       password=people.backend.users["alice"])
        assert error.value.kind == "offline"


def test_without_tls_only_this_machine_is_spoken_to(people):
    alice = people.account("alice")
    with pytest.raises(rpc.RpcError) as error:
        alice.call("account.login", server="http://chat.invalid", user_id="alice", password="x")
    assert error.value.kind in ("invalid", "offline")
    assert "https" in error.value.data["detail"]
