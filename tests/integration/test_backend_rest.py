# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's REST interface: logging in, lists and their pages, users, push registration."""

import base64
import hashlib
import hmac
import http.client
import json
import re
import signal
import time

import pytest

from backend import Backend


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One for the many small tests that leave nothing behind."""
    with Backend(tmp_path_factory.mktemp("shared")) as backend:
        yield backend


@pytest.fixture
def backend(tmp_path):
    with Backend(tmp_path) as backend:
        yield backend


def decode(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def problem(answer, status, kind):
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["type"] == f"urn:chat:{kind}"
    assert answer.json["status"] == status and answer.json["title"] and answer.json["detail"]
    return answer


def test_login_gives_a_token(backend):
    answer = backend.request("GET", "/login", headers=backend.basic("alice", "alice-pw"))
    assert answer.status == 200
    assert answer.json["user"] == {"id": "alice", "name": "Alice Example", "picture_url": None}
    head, claims, signature = answer.json["token"].split(".")
    assert decode(head) == {"alg": "HS256", "typ": "JWT"}
    assert decode(claims)["sub"] == "alice"
    assert decode(claims)["exp"] * 1000 == answer.json["expires_at"]
    key = (backend.data / "token.key").read_bytes()
    digest = hmac.new(key, f"{head}.{claims}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == signature


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": "Basic !!!"}, {"Authorization": "Bearer x"}, {"Authorization": "Basic YWxpY2U="}])
def test_login_needs_credentials(shared, headers):
    answer = problem(shared.request("GET", "/login", headers=headers), 401, "bad_credentials")
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_wrong_password_and_unknown_user(shared):
    for user, password in [("alice", "bob-pw"), ("alice", ""), ("nobody", "x"), ("nobody", "")]:
        problem(shared.request("GET", "/login", headers=shared.basic(user, password)), 401, "bad_credentials")


def test_tokens_are_checked(shared):
    token = shared.login("alice").token
    problem(shared.request("GET", "/chats"), 401, "token_missing")
    head, claims, signature = token.split(".")
    forged = base64.urlsafe_b64encode(json.dumps({**decode(claims), "sub": "bob"}).encode()).decode().rstrip("=")
    for bad in [f"{head}.{forged}.{signature}", f"{head}.{claims}.", f"{head}.{claims}", "x", "..",
                f"{head}.{claims}.{'A' * 43}"]:
        problem(shared.request("GET", "/chats", token=bad), 401, "token_invalid")


def test_tokens_expire(tmp_path):
    with Backend(tmp_path, token_ttl=1) as backend:
        alice = backend.login("alice")
        deadline = time.monotonic() + 10
        while (answer := alice.request("GET", "/chats")).status == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        problem(answer, 401, "token_expired")


def test_expire_ends_all_tokens_and_lasts(backend):
    alice = backend.login("alice")
    backend.control("expire")
    problem(alice.request("GET", "/chats"), 401, "token_expired")
    backend.kill()
    backend.start()
    problem(alice.request("GET", "/chats"), 401, "token_expired")
    assert backend.login("alice").request("GET", "/chats").status == 200


def test_tokens_outlive_a_restart(backend):
    alice = backend.login("alice")
    assert backend.stop() == 0
    backend.start()
    assert alice.request("GET", "/chats").status == 200


def test_users(shared):
    alice = shared.login("alice")
    assert alice.get("/users/bob") == {"id": "bob", "name": "Bob Example", "picture_url": None}
    problem(alice.request("GET", "/users/nobody"), 404, "not_found")


def test_users_file_is_read_again(backend):
    backend.users = {"alice": "new-pw", "dave": "dave-pw"}
    backend.write_users()
    backend.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while backend.request("GET", "/login", headers=backend.basic("dave", "dave-pw")).status != 200:
        assert time.monotonic() < deadline
    problem(backend.request("GET", "/login", headers=backend.basic("alice", "alice-pw")), 401, "bad_credentials")
    problem(backend.request("GET", "/login", headers=backend.basic("bob", "bob-pw")), 401, "bad_credentials")
    assert backend.login("alice")


def test_malformed_users_file_changes_nothing(backend):
    backend.users_file.write_text("alice:new:Alice\nno colon here\n")
    backend.process.send_signal(signal.SIGHUP)
    for _ in range(20):
        assert backend.request("GET", "/login", headers=backend.basic("alice", "alice-pw")).status == 200


def test_pictures_are_urls_with_colons(tmp_path):
    backend = Backend(tmp_path)
    backend.users_file.write_text("# people\n\nalice:alice-pw:Alice:https://example.org:8443/a.png\n")
    with backend:
        user = backend.request("GET", "/login", headers=backend.basic("alice", "alice-pw")).json["user"]
        assert user["picture_url"] == "https://example.org:8443/a.png"


def test_chat_is_made_once(backend):
    alice, bob = backend.login("alice"), backend.login("bob")
    answer = alice.request("POST", "/chats", {"user_id": "bob"})
    assert answer.status == 201
    assert {k: v for k, v in answer.json.items() if k not in ("id", "created_at")} == {
        "user_id": "bob", "last_message_id": None, "last_user_id": None, "last_seq": 0, "read_seq": 0,
        "peer_read_seq": 0, "peer_received_seq": 0}
    again = alice.request("POST", "/chats", {"user_id": "bob"})
    assert again.status == 200 and again.json == answer.json
    mirrored = bob.request("POST", "/chats", {"user_id": "alice"})
    assert mirrored.status == 200 and mirrored.json["id"] == answer.json["id"]
    assert mirrored.json["user_id"] == "alice"


def test_chat_requests_are_checked(shared):
    alice = shared.login("alice")
    problem(alice.request("POST", "/chats", {"user_id": "alice"}), 422, "malformed")
    problem(alice.request("POST", "/chats", {"user_id": "nobody"}), 404, "not_found")
    problem(alice.request("POST", "/chats", {}), 422, "malformed")
    problem(alice.request("POST", "/chats", b"{"), 422, "malformed")
    problem(alice.request("POST", "/chats", b""), 422, "malformed")
    problem(alice.request("POST", "/chats", b" " * 65537), 413, "too_large")


def test_empty_chat_shows_to_its_maker_only(backend):
    alice, bob = backend.login("alice"), backend.login("bob")
    chat = alice.chat_with("bob")
    assert [c["id"] for c in alice.get("/chats")["chats"]] == [chat]
    assert bob.get("/chats")["chats"] == []
    session = alice.connect()
    session.say(chat, "now")
    assert [c["id"] for c in bob.get("/chats")["chats"]] == [chat]


def test_removed_chat_comes_back_with_a_message(backend):
    alice, bob = backend.login("alice"), backend.login("bob")
    chat = alice.chat_with("bob")
    a, b = alice.connect(), bob.connect()
    b.say(chat, "one")
    state = alice.get("/chats")["state"]
    assert alice.request("DELETE", f"/chats/{chat}").status == 204
    assert alice.request("DELETE", f"/chats/{chat}").status == 204
    assert alice.get("/chats")["chats"] == []
    assert [c["id"] for c in bob.get("/chats")["chats"]] == [chat]
    changes = alice.get(f"/chats?changed_after={state}")
    assert changes["chats"] == [] and changes["removed"] == [chat]
    b.say(chat, "two")
    changes = alice.get(f"/chats?changed_after={state}")
    assert [c["last_seq"] for c in changes["chats"]] == [2] and changes["removed"] == []
    problem(alice.request("DELETE", "/chats/none"), 404, "not_found")
    problem(backend.login("carol").request("DELETE", f"/chats/{chat}"), 403, "forbidden")


@pytest.fixture
def crowd(tmp_path):
    """Alice has a chat with each of ten others, of one message each, in order."""
    users = {"alice": "pw", **{f"u{i}": "pw" for i in range(10)}}
    with Backend(tmp_path, users=users) as backend:
        alice = backend.login("alice")
        session = alice.connect()
        chats = [alice.chat_with(f"u{i}") for i in range(10)]
        for i, chat in enumerate(chats):
            session.say(chat, f"to u{i}")
        yield backend, alice, session, chats


def ids(page):
    return [c["id"] for c in page["chats"]]


def test_list_is_newest_first_in_pages(crowd):
    _, alice, session, chats = crowd
    newest_first = chats[::-1]
    first = alice.get("/chats?limit=4")
    assert ids(first) == newest_first[:4] and first["more"] is True
    assert [m["text"] for m in first["messages"]] == ["to u9", "to u8", "to u7", "to u6"]
    assert {u["id"] for u in first["users"]} == {"alice", "u9", "u8", "u7", "u6"}
    second = alice.get(f"/chats?limit=4&after_id={newest_first[3]}")
    assert ids(second) == newest_first[4:8] and second["more"] is True
    third = alice.get(f"/chats?limit=4&after_id={newest_first[7]}")
    assert ids(third) == newest_first[8:] and third["more"] is False
    back = alice.get(f"/chats?limit=3&before_id={newest_first[4]}")
    assert ids(back) == newest_first[1:4] and back["more"] is True
    back = alice.get(f"/chats?limit=3&before_id={newest_first[2]}")
    assert ids(back) == newest_first[:2] and back["more"] is False
    session.say(chats[0], "moves up")
    assert ids(alice.get("/chats?limit=1")) == [chats[0]]


def test_changes_are_oldest_first_in_pages(crowd):
    _, alice, session, chats = crowd
    state = alice.get("/chats")["state"]
    assert alice.get(f"/chats?changed_after={state}")["chats"] == []
    for i in (3, 1, 4, 1, 5):
        session.say(chats[i], "again")
    assert ids(alice.get(f"/chats?changed_after={state}")) == [chats[3], chats[4], chats[1], chats[5]]
    first = alice.get(f"/chats?changed_after={state}&limit=2")
    assert ids(first) == [chats[3], chats[4]] and first["more"] is True
    # Either cursor goes on: the page's own state, or its last chat.
    by_state = alice.get(f"/chats?changed_after={first['state']}&limit=2")
    by_id = alice.get(f"/chats?changed_after={state}&after_id={chats[4]}&limit=2")
    assert ids(by_state) == ids(by_id) == [chats[1], chats[5]]
    assert by_state["more"] is False
    assert alice.get(f"/chats?changed_after={by_state['state']}")["chats"] == []


def test_no_change_is_skipped_when_a_cursor_moves(crowd):
    _, alice, session, chats = crowd
    state = alice.get("/chats")["state"]
    for i in range(4):
        session.say(chats[i], "again")
    first = alice.get(f"/chats?changed_after={state}&limit=2")
    session.say(chats[1], "moved while paging")
    rest = alice.get(f"/chats?changed_after={state}&after_id={chats[1]}")
    assert ids(rest) == [chats[2], chats[3], chats[1]]
    assert ids(alice.get(f"/chats?changed_after={first['state']}")) == [chats[2], chats[3], chats[1]]


def test_receipts_count_as_changes(crowd):
    backend, alice, session, chats = crowd
    state = alice.get("/chats")["state"]
    last = alice.get(f"/chats/{chats[2]}/messages")["messages"][-1]
    reader = backend.login("u2").connect()
    reader.send("MSG_READ", {"chat_id": chats[2], "message_id": last["id"]})
    session.expect("MSG_READ")
    changes = alice.get(f"/chats?changed_after={state}")
    assert [(c["id"], c["peer_read_seq"]) for c in changes["chats"]] == [(chats[2], 1)]


def test_order_and_changes_outlive_a_crash(crowd):
    backend, alice, session, chats = crowd
    session.say(chats[3], "up")
    assert alice.request("DELETE", f"/chats/{chats[5]}").status == 204
    alice.chat_with("u0")
    before = alice.get("/chats"), alice.get("/chats?changed_after=0")
    backend.kill()
    backend.start()
    assert (alice.get("/chats"), alice.get("/chats?changed_after=0")) == before


@pytest.mark.parametrize("query, kind", [
    ("limit=0", "malformed"), ("limit=201", "malformed"), ("limit=x", "malformed"), ("limit=", "malformed"),
    ("limit=-1", "malformed"), ("after_id=", "malformed"), ("after_id=" + "x" * 65, "malformed"),
    ("after_id=none", "unknown_cursor"), ("before_id=none", "unknown_cursor"),
    ("changed_after=x", "unknown_cursor"), ("changed_after=99999", "unknown_cursor"),
    ("changed_after=0&after_id=none", "unknown_cursor"), ("changed_after=0&before_id=x", "malformed")])
def test_list_queries_are_checked(shared, query, kind):
    problem(shared.login("alice").request("GET", f"/chats?{query}"), 422, kind)


@pytest.fixture
def history(backend):
    alice, bob = backend.login("alice"), backend.login("bob")
    chat = alice.chat_with("bob")
    session = alice.connect()
    ids = [session.say(chat, f"{i}")["message_id"] for i in range(1, 11)]
    return alice, chat, ids


def seqs(page):
    return [m["seq"] for m in page["messages"]]


def test_messages_in_pages(history):
    alice, chat, ids = history
    def page(query):
        return alice.get(f"/chats/{chat}/messages{query}")
    newest = page("?limit=3")
    assert seqs(newest) == [8, 9, 10] and newest["more"] is True
    older = page(f"?limit=3&before_id={ids[7]}")
    assert seqs(older) == [5, 6, 7] and older["more"] is True
    oldest = page(f"?limit=4&before_id={ids[4]}")
    assert seqs(oldest) == [1, 2, 3, 4] and oldest["more"] is False
    later = page(f"?limit=3&after_id={ids[4]}")
    assert seqs(later) == [6, 7, 8] and later["more"] is True
    last = page(f"?limit=3&after_id={ids[6]}")
    assert seqs(last) == [8, 9, 10] and last["more"] is False
    gap = page(f"?after_id={ids[2]}&before_id={ids[6]}")
    assert seqs(gap) == [4, 5, 6] and gap["more"] is False
    gap = page(f"?after_id={ids[2]}&before_id={ids[6]}&limit=2")
    assert seqs(gap) == [4, 5] and gap["more"] is True
    assert seqs(page(f"?after_id={ids[9]}")) == []
    assert {u["id"] for u in newest["users"]} == {"alice", "bob"}


def test_message_queries_are_checked(history, backend):
    alice, chat, ids = history
    problem(alice.request("GET", f"/chats/{chat}/messages?after_id=none"), 422, "unknown_cursor")
    problem(alice.request("GET", f"/chats/{chat}/messages?limit=500"), 422, "malformed")
    problem(alice.request("GET", "/chats/none/messages"), 404, "not_found")
    problem(backend.login("carol").request("GET", f"/chats/{chat}/messages"), 403, "forbidden")
    other = alice.chat_with("carol")
    problem(alice.request("GET", f"/chats/{other}/messages?after_id={ids[0]}"), 422, "unknown_cursor")


def test_acknowledged_messages_outlive_a_crash(history, backend):
    alice, chat, ids = history
    session = alice.connect("other")
    acks = [session.say(chat, f"more {i}") for i in range(5)]
    backend.kill()
    backend.start()
    page = alice.get(f"/chats/{chat}/messages")
    assert [m["id"] for m in page["messages"]] == ids + [a["message_id"] for a in acks]
    assert seqs(page) == list(range(1, 16))
    again = alice.connect().say(chat, "more 4", message_id=acks[4]["message_id"])
    assert again == acks[4]


def test_push_registration(shared):
    alice = shared.login("alice")
    key = base64.urlsafe_b64encode(b"\x04" + bytes(64)).decode().rstrip("=")
    auth = base64.urlsafe_b64encode(bytes(16)).decode().rstrip("=")
    good = {"endpoint": "http://127.0.0.1:1/push", "p256dh": key, "auth": auth, "device_id": "phone"}
    assert alice.request("PUT", "/push", good).status == 204
    assert alice.request("PUT", "/push", good).status == 204
    for name, bad in [("endpoint", "ftp://x"), ("p256dh", "AA"), ("auth", "!"), ("device_id", "")]:
        problem(alice.request("PUT", "/push", {**good, name: bad}), 422, "malformed")
    assert alice.request("DELETE", "/push?device_id=phone").status == 204
    assert alice.request("DELETE", "/push").status == 204
    assert alice.request("DELETE", "/push").status == 204


def test_unknown_paths_and_methods(shared):
    alice = shared.login("alice")
    problem(alice.request("GET", "/nothing"), 404, "not_found")
    answer = problem(alice.request("PUT", "/chats", {}), 405, "method_not_allowed")
    assert set(re.split(", *", answer.headers["Allow"])) == {"GET", "POST"}
    problem(alice.request("GET", "/chats/a/b/c"), 404, "not_found")
    problem(alice.request("GET", "/users/" + "x" * 65), 404, "not_found")


def test_connections_are_kept_between_requests(backend):
    token = backend.login("alice").token
    connection = http.client.HTTPConnection("127.0.0.1", backend.port, timeout=10)
    for i in range(20):
        body = json.dumps({"user_id": "bob"}) if i % 2 else None
        connection.request("POST" if i % 2 else "GET", "/chats", body, {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (200, 201)
        sock = connection.sock
        assert sock is not None and (i == 0 or sock is kept)
        kept = sock
    # An error that comes before the body was read does not spoil the connection either.
    connection.request("POST", "/nothing", b"x" * 300000, {"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.status == 404 and answer.read()
    connection.request("GET", "/chats", headers={"Authorization": f"Bearer {token}"})
    assert connection.getresponse().status == 200 and connection.sock is kept
    connection.close()


def test_control_is_off_by_default(tmp_path):
    with Backend(tmp_path, control=False) as backend:
        problem(backend.request("POST", "/_control", {"do": "reset"}), 404, "not_found")
        problem(backend.request("GET", "/_control/stats"), 404, "not_found")


def test_only_one_backend_to_a_directory(backend, tmp_path):
    second = Backend(tmp_path)
    with pytest.raises(RuntimeError):
        second.start()
