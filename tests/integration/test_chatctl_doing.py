# SPDX-License-Identifier: GPL-3.0-or-later
"""What chatctl does: signing in, sending, following, saving photos."""

import json
import os
import re
import signal
import stat

import pytest

from chatctl_support import ctl, fake  # noqa: F401 (fixtures)
from fake_chatd import NoReply, RpcError, now


def refuse_with(kind, detail="because"):
    def refuse(connection, request):
        raise RpcError(kind, detail)
    return refuse


# login

def test_login_takes_the_password_from_a_pipe(fake, ctl):
    result = ctl("login", "http://127.0.0.1:8080", "alice", stdin=b"secret\n")
    assert result.code == 0
    assert result.out == "Signed in at http://127.0.0.1:8080 as Alice Adams (@alice).\n"
    assert fake.params("account.login") == [
        {"server": "http://127.0.0.1:8080", "user_id": "alice", "password": "secret"}]
    result = ctl("login", "http://127.0.0.1:8080", "alice", "--json", stdin=b"secret")
    assert result.json == [{"user_id": "alice", "user_name": "Alice Adams"}]


def test_login_tells_why_it_failed(fake, ctl):
    result = ctl("login", "http://127.0.0.1:8080", "alice", stdin=b"wrong\n")
    assert (result.code, result.err) == (1, "chatctl: wrong user or password\n")
    fake.on("account.login", refuse_with("offline", "no answer"))
    result = ctl("login", "http://127.0.0.1:8080", "alice", stdin=b"secret\n")
    assert (result.code, result.err) == (5, "chatctl: offline: no answer\n")
    assert ctl("login", "http://127.0.0.1:8080", "alice", stdin=b"").code == 1


def test_login_does_not_show_the_password(fake, ctl):
    terminal = ctl.on_terminal("login", "http://127.0.0.1:8080", "alice")
    terminal.read_until("Password of alice: ")
    assert not terminal.echoes()
    terminal.type("secret\n")
    code, shown = terminal.finish()
    assert code == 0
    assert "secret" not in shown and "Signed in" in shown


def test_an_interrupted_prompt_leaves_the_terminal_as_it_was(fake, ctl):
    terminal = ctl.on_terminal("login", "http://127.0.0.1:8080", "alice")
    terminal.read_until("Password of alice: ")
    terminal.type("\x03")
    terminal.read_until("\n")
    assert terminal.echoes()
    code, _ = terminal.finish()
    assert code == -signal.SIGINT
    assert fake.params("account.login") == []


# send

def test_send_prints_the_id(fake, ctl):
    result = ctl("send", "bob", "hello", "there")
    assert result.code == 0 and result.err == ""
    message_id = result.out.strip()
    assert fake.messages[message_id]["text"] == "hello there"
    assert fake.messages[message_id]["chat_id"] == "c-1"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                        message_id)


def test_send_for_scripts(ctl):
    result = ctl("send", "bob", "hi", "--json")
    assert len(result.json) == 1
    assert result.json[0]["status"] == "PENDING" and result.json[0]["text"] == "hi"


def test_send_takes_text_from_standard_input(fake, ctl):
    text = "two\nlines, é and \\n and \x1b\n"
    message_id = ctl("send", "bob", "-", stdin=text.encode() + b"\n").out.strip()
    assert fake.messages[message_id]["text"] == text
    assert ctl("send", "bob", "-", stdin=b"").code == 2
    assert ctl("send", "bob", "-", stdin=b"\xff\xfe").code == 2
    assert ctl("send", "bob", "-", stdin=b"x" * 1_100_000).code == 2
    assert ctl("send", "bob", "--", "--json").code == 0


def test_send_to_a_user_without_a_chat(fake, ctl):
    assert ctl("send", "@zoe", "hi").code == 0
    assert ctl("send", "yves", "hi").code == 0
    assert [p.get("user_id") for p in fake.params("messages.send")] == ["zoe", "yves"]
    result = ctl("send", "no such name", "hi")
    assert result.code == 6
    fake.on("messages.send", refuse_with("not_found", "no such user"))
    assert ctl("send", "@xeno", "hi").code == 6


def test_send_with_photos(fake, ctl, tmp_path):
    (tmp_path / "one.jpg").write_bytes(b"\xff\xd8 one")
    (tmp_path / "two.png").write_bytes(b"two")
    message_id = ctl("send", "bob", "-a", "one.jpg", f"--attach={tmp_path}/two.png").out.strip()
    assert fake.received[message_id] == [b"\xff\xd8 one", b"two"]
    params = fake.params("messages.send")[0]
    assert params["attachments"] == [{"fd": 0, "name": "one.jpg"}, {"fd": 1, "name": "two.png"}]
    assert params["text"] == ""
    assert ctl("send", "bob", "-a", "none.jpg").code == 6
    assert ctl("send", "bob", "-a", ".").code == 1
    assert ctl("send", "bob", *["-a", "one.jpg"] * 17).code == 2
    assert len(fake.params("messages.send")) == 1


def test_send_waits_and_tells_the_path(fake, ctl):
    fake.auto_status = ["SENT", "RECEIVED", "READ"]
    result = ctl("send", "bob", "hi", "--wait=read")
    assert (result.code, result.err) == (0, "PENDING -> SENT -> RECEIVED -> READ\n")
    assert result.out.strip() in fake.messages
    result = ctl("send", "bob", "hi", "--wait")
    assert (result.code, result.err) == (0, "PENDING -> SENT\n")
    result = ctl("send", "bob", "hi", "--wait=received", "--json")
    assert [m["status"] for m in result.json] == ["PENDING", "SENT", "RECEIVED"]
    assert result.err == ""


def test_send_waits_as_it_happens(fake, ctl):
    with ctl.start("send", "bob", "hi", "--wait=received", "--json") as running:
        message_id = running.json_line()["message_id"]
        fake.set_status(message_id, "SENT")
        assert running.json_line()["status"] == "SENT"
        fake.drop()  # nothing of it is lost with the connection
        fake.set_status(message_id, "RECEIVED")
        assert running.json_line()["status"] == "RECEIVED"
        assert running.wait().code == 0


def test_a_status_may_be_skipped(fake, ctl):
    fake.auto_status = ["READ"]
    result = ctl("send", "bob", "hi", "--wait=sent")
    assert (result.code, result.err) == (0, "PENDING -> READ\n")


def test_send_tells_that_it_was_refused(fake, ctl):
    fake.auto_status = ["FAILED"]
    result = ctl("send", "bob", "hi", "--wait")
    assert result.code == 7
    assert result.err == ("PENDING -> FAILED\n"
                          "chatctl: the message was refused: Refused: the peer is gone\n")
    result = ctl("send", "bob", "hi", "--wait", "--json")
    assert result.code == 7 and result.error["kind"] == "failed"


def test_send_waits_only_so_long(fake, ctl):
    result = ctl("send", "bob", "hi", "--wait", "--timeout=0.2")
    assert result.code == 8
    assert result.err == "PENDING\nchatctl: the message is PENDING; the daemon goes on with it\n"


def test_a_lost_answer_does_not_make_a_second_message(fake, ctl):
    def accept_and_die(connection, request):
        with fake.lock:
            fake.do_messages_send(connection, request["params"], [])
        connection.close()
        raise NoReply

    fake.on("messages.send", accept_and_die)
    result = ctl("send", "bob", "once")
    assert result.code == 0
    assert [m["text"] for m in fake.messages.values()] == ["once"]
    assert len(fake.params("messages.send")) == 2


# watch

def test_watch_for_scripts(fake, ctl):
    with ctl.start("watch", "--json") as running:
        fake.wait_request("events.subscribe")
        fake.wait_for(lambda: fake.connections and fake.connections[0].position is not None)
        message = fake.add_message("c-1", "hi")
        change = running.json_line()
        assert change == {"topic": "message.added", "seq": message["seq"],
                          "data": {k: v for k, v in message.items() if k != "seq"}}
        fake.change("connection", {"state": "BACKOFF", "since": 1, "next_attempt_at": None,
                                   "last_error": "x"})
        change = running.json_line()
        assert change["topic"] == "connection" and "seq" not in change


def test_watch_since_tells_what_was_missed(fake, ctl):
    seqs = [fake.add_message("c-1", str(i))["seq"] for i in range(5)]
    with ctl.start("watch", "--json", f"--since={seqs[1]}") as running:
        assert [running.json_line()["seq"] for _ in range(3)] == seqs[2:]


def test_watch_asks_for_topics_and_chat(fake, ctl):
    with ctl.start("watch", "--json", "--topics=message.added,chat.removed", "--chat=bob"):
        fake.wait_request("events.subscribe")
    assert fake.params("events.subscribe") == [
        {"topics": ["message.added", "chat.removed"], "chats": ["c-1"]}]
    assert ctl("watch", "--topics=a,,b").code == 2
    assert ctl("watch", "--chat=nobody").code == 6


def test_watch_ends_when_it_is_refused(fake, ctl):
    fake.on("events.subscribe", refuse_with("locked", "locked up"))
    result = ctl("watch")
    assert (result.code, result.err) == (4, "chatctl: locked: locked up\n")


def test_watch_for_people(fake, ctl):
    photo = fake.add_message("c-1", "earlier")
    fake.add_attachment(photo["message_id"], "a-1", b"x" * 4000)
    with ctl.start("watch") as running:
        fake.wait_for(lambda: fake.connections and fake.connections[0].position is not None)
        fake.add_message("c-1", "hello \x1b[2J")
        assert re.fullmatch(r"\d\d:\d\d            Bob Martin      new       hello ␛\[2J",
                            running.line())
        sent = fake.add_message("c-1", "hi", outgoing=True)
        assert "→ Bob Martin    PENDING   hi" in running.line()
        fake.set_status(sent["message_id"], "READ")
        assert running.line().endswith(f"→ Bob Martin    READ {sent['message_id']}")
        fake.set_status(sent["message_id"], "FAILED", {"title": "No", "detail": None})
        assert running.line().endswith(f"→ Bob Martin    FAILED {sent['message_id']}: No")
        fake.chats["c-1"]["username"] = "Robert"
        fake.change("chat.updated", fake.chats["c-1"])
        assert running.line().endswith("Robert          2 unread")
        fake.change("chat.updated", fake.chats["c-1"])  # nothing new in it
        fake.change("connection", fake.state)
        assert running.line().endswith("connection      LIVE")
        fake.change("transfer.progress", {**fake.full_attachment("a-1"), "progress": 1000,
                                          "status": "DOWNLOADING"})
        assert running.line().endswith("Robert          photo a-1 DOWNLOADING, 25% of 4.0 kB")
        fake.change("message.removed", {"chat_id": "c-1", "message_id": "m-1"})
        assert running.line().endswith("Robert          message.removed m-1")
        fake.change("brand.new", {"x": 1})
        assert running.line().endswith("brand.new ")


def test_watch_of_one_chat_need_not_say_to_whom(fake, ctl):
    with ctl.start("watch", "--chat=bob") as running:
        fake.wait_for(lambda: fake.connections and fake.connections[0].position is not None)
        sent = fake.add_message("c-1", "hi", outgoing=True)
        assert "you             PENDING   hi" in running.line()
        fake.set_status(sent["message_id"], "READ")
        assert running.line().endswith(f"you             READ {sent['message_id']}")


def test_watch_survives_the_daemon(fake, ctl):
    with ctl.start("watch", "--json") as running:
        fake.wait_for(lambda: fake.connections and fake.connections[0].position is not None)
        first = fake.add_message("c-1", "one")["seq"]
        assert running.json_line()["seq"] == first
        fake.stop()
        assert "was lost" in running.error_line()
        second = fake.add_message("c-1", "two")["seq"]
        fake.start()
        assert "is back" in running.error_line()
        assert running.json_line()["seq"] == second
        assert fake.params("events.subscribe")[1] == {"since": first}


def test_watch_goes_on_with_another_database(fake, ctl):
    with ctl.start("watch", "--json", "--topics=message.added") as running:
        fake.wait_for(lambda: fake.connections and fake.connections[0].position is not None)
        fake.stop()
        fake.seq, fake.log = 0, []
        fake.start()
        assert "was lost" in running.error_line()
        assert "is back" in running.error_line()
        assert "other data" in running.error_line()
        fake.wait_for(lambda: fake.connections and fake.connections[0].position is not None)
        fake.add_message("c-1", "hi")
        assert running.json_line()["seq"] == 1
    assert fake.params("events.subscribe")[2] == {"topics": ["message.added"]}
    result = ctl("watch", "--since=1000", "--json")
    assert result.code == 1 and result.error["kind"] == "invalid"


# photo

JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 1000


@pytest.fixture
def photo(fake):
    message = fake.add_message("c-1", "look")
    fake.add_attachment(message["message_id"], "a-1", JPEG, preview=b"small")
    return message


def test_photo_get_saves_under_the_senders_name(ctl, photo, tmp_path):
    result = ctl("photo", "get", "a-1")
    assert (result.code, result.out) == (0, "cat.jpg\n")
    assert (tmp_path / "cat.jpg").read_bytes() == JPEG
    assert os.listdir(tmp_path) == ["cat.jpg"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "cat.jpg").stat().st_mode) == 0o666 & ~mask


def test_photo_get_by_message(fake, ctl, photo, tmp_path):
    assert ctl("photo", "get", photo["message_id"], "-o", "x.jpg").code == 0
    assert (tmp_path / "x.jpg").read_bytes() == JPEG
    fake.add_attachment(photo["message_id"], "a-2", b"x")
    result = ctl("photo", "get", photo["message_id"])
    assert result.code == 2 and "a-1 a-2" in result.err
    empty = fake.add_message("c-1", "no photo")
    assert ctl("photo", "get", empty["message_id"]).code == 6
    assert ctl("photo", "get", "nothing").code == 6


def test_photo_get_does_not_overwrite(ctl, photo, tmp_path):
    (tmp_path / "cat.jpg").write_text("mine")
    result = ctl("photo", "get", "a-1")
    assert (result.code, result.err) == (1, "chatctl: cat.jpg exists; --force replaces it\n")
    assert (tmp_path / "cat.jpg").read_text() == "mine"
    assert ctl("photo", "get", "a-1", "--force").code == 0
    assert (tmp_path / "cat.jpg").read_bytes() == JPEG


def test_photo_get_elsewhere(ctl, photo, tmp_path):
    (tmp_path / "dir").mkdir()
    result = ctl("photo", "get", "a-1", "--output=dir", "--json")
    assert result.json == [{"attachment_id": "a-1", "variant": "full", "file": "dir/cat.jpg",
                            "mime": "image/jpeg", "size": len(JPEG)}]
    assert (tmp_path / "dir/cat.jpg").read_bytes() == JPEG
    assert ctl("photo", "get", "a-1", "-o", "none/x.jpg").code == 1
    assert ctl("photo", "get", "a-1", "-o", "-").bytes == JPEG
    assert ctl("photo", "get", "a-1", "-o", "-", "--preview").bytes == b"small"
    assert ctl("photo", "get", "a-1", "--preview").out == "preview-cat.jpg\n"
    assert sorted(os.listdir(tmp_path)) == ["dir", "preview-cat.jpg"]


def test_photo_get_spares_the_terminal(ctl, photo):
    code, shown = ctl.on_terminal("photo", "get", "a-1", "-o", "-").finish()
    assert code == 2 and "not written to a terminal" in shown


@pytest.mark.parametrize("name, saved", [
    ("../../evil.jpg", "evil.jpg"), (".bashrc", "_bashrc"), (None, "a-1.jpg"),
    ("a\nb\x1b.jpg", "a b␛.jpg"), ("..", "_.")])
def test_a_senders_name_leads_nowhere_else(fake, ctl, photo, tmp_path, name, saved):
    fake.attachments["a-1"][1]["name"] = name
    assert ctl("photo", "get", "a-1").code == 0
    assert os.listdir(tmp_path) == [saved]


def test_photo_get_fetches_first(fake, ctl, photo, tmp_path):
    fake.attachments["a-1"][1].update(status="WAITING", progress=0)
    assert ctl("photo", "get", "a-1").code == 0
    assert len(fake.params("attachments.download")) == 1
    assert (tmp_path / "cat.jpg").read_bytes() == JPEG


def test_photo_get_gives_up(fake, ctl, photo, tmp_path):
    fake.attachments["a-1"][1].update(status="WAITING", progress=0)

    def never(connection, request):
        return fake.full_attachment("a-1")

    def fails(connection, request):
        failed = {**fake.full_attachment("a-1"), "status": "FAILED"}
        return fake.full_attachment("a-1"), (), lambda: fake.change("attachment.updated", failed)

    fake.on("attachments.download", never, fails, refuse_with("storage_full"))
    assert ctl("photo", "get", "a-1", "--timeout=0.2").code == 8
    assert ctl("photo", "get", "a-1").code == 1
    assert ctl("photo", "get", "a-1").code == 1
    assert os.listdir(tmp_path) == []


def test_a_short_photo_leaves_no_file(fake, ctl, photo, tmp_path):
    def lie(connection, request):
        fd = os.memfd_create("x")
        os.write(fd, b"short")
        return {"size": 100, "fd": 0}, (fd,), None

    fake.on("attachments.open", lie)
    assert ctl("photo", "get", "a-1").code == 1
    assert os.listdir(tmp_path) == []


def test_photo_list(fake, ctl, photo):
    fake.page_max = 50
    for i in range(250):
        fake.add_message("c-1", str(i))
    last = fake.add_message("c-1", "", created_at=now() - 86400_000)
    fake.add_attachment(last["message_id"], "a-2", b"x" * 1500, name=None, status="WAITING")
    fake.add_attachment(last["message_id"], "a-3", b"x")
    result = ctl("photo", "list", "bob")
    assert result.code == 0
    assert [line.split()[0] for line in result.lines] == ["PHOTO", "a-1", "a-2", "a-3"]
    assert re.fullmatch(r"a-2    yesterday \d\d:\d\d  1.5 kB  WAITING +", result.lines[2])
    result = ctl("photo", "list", "bob", "--json", "-n", "2")
    assert [a["attachment_id"] for a in result.json] == ["a-2", "a-3"]
    fake.add_chat("c-9", "zed", "Zed")
    assert ctl("photo", "list", "zed").err == "No photos.\n"
    assert ctl("photo", "list", "nobody").code == 6


# A daemon that misbehaves

def raw(data, close=False):
    def hook(connection, request):
        connection.send_raw(data(request) if callable(data) else data)
        if close:
            connection.close()
        raise NoReply
    return hook


def test_a_connection_that_breaks_in_the_midst_of_an_answer(fake, ctl):
    fake.on("chats.list", raw(b'{"jsonrpc":"2.0","id":1,"result":{"chats":[', close=True))
    result = ctl("chats", "--json")
    assert result.code == 0 and result.json[0]["chat_id"] == "c-1"
    assert fake.accepted == 2


def test_a_change_that_is_not_safe_to_repeat_is_not_repeated(fake, ctl):
    fake.on("account.login", raw(b"", close=True))
    result = ctl("login", "http://127.0.0.1:8080", "alice", "--json", stdin=b"secret\n")
    assert result.code == 1 and result.error["kind"] == "disconnected"
    assert len(fake.params("account.login")) == 1


GARBAGE = {
    "text": b"garbage\n",
    "not-utf8": b"\xff\xfe\n",
    "array": b"[]\n",
    "empty-object": b"{}\n",
    "no-result": b'{"id":1}\n',
    "oversized": b"x" * 1_200_000,
    "zero": b"\0\n",
    "deep": b"[" * 100_000 + b"\n",
    "wrong-member": b'{"jsonrpc":"2.0","id":1,"result":{"chats":[{"chat_id":7}]}}\n',
    "wrong-result": b'{"jsonrpc":"2.0","id":1,"result":[]}\n',
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_an_error_and_no_more(fake, ctl, data):
    fake.on("chats.list", raw(data))
    result = ctl("chats", "--json")
    assert result.code == 1 and result.out == ""
    assert result.error["kind"] == "protocol"


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"{}\n"])
def test_another_programs_socket(fake, ctl, greeting):
    fake.on("hello", lambda connection, _: connection.send_raw(greeting))
    result = ctl("status", "--json")
    assert result.code == 1 and result.error["kind"] == "protocol"


def test_another_version_of_the_api(fake, ctl):
    fake.greeting["api"] = "2.0"
    result = ctl("status")
    assert result.code == 1 and "2.0" in result.err


def test_a_slow_daemon(fake, ctl):
    def drip(connection, request):
        line = json.dumps({"id": request["id"], "result": fake.do_daemon_status(None, {}, [])})
        for byte in line.encode() + b"\n":
            connection.send_raw(bytes([byte]))
        raise NoReply
    fake.on("daemon.status", drip)
    assert ctl("status").code == 0


def test_a_daemon_that_never_answers(fake, ctl):
    fake.on("daemon.status", raw(b""))
    result = ctl("call", "daemon.status", "--timeout=0.2", "--json")
    assert result.code == 8 and result.error["kind"] == "timed_out"


# settings and chats

def test_a_setting_is_changed_and_goes_back_to_its_default(fake, ctl):
    assert ctl("settings", "connection.grace_s", "7").out == "connection.grace_s = 7\n"
    assert ctl("settings", "connection.grace_s", "--default").out == "connection.grace_s = 60\n"
    assert fake.params("settings.set")[-1] == {"name": "connection.grace_s"}
    for wrong in (("--default",), ("connection.grace_s", "7", "--default")):
        result = ctl("settings", *wrong)
        assert (result.code, result.err) == (
            2, "chatctl: --default goes with one setting and no value\n")


def test_a_chat_is_taken_off_the_list(fake, ctl):
    fake.add_chat("c-1", "bob", "Bob Brown")
    fake.add_chat("c-2", "carol", "Carol")
    assert ctl("delete", "Bob Brown").code == 0
    assert ctl("delete", "Bob Brown").code == 6
    fake.on("chats.delete", refuse_with("conflict", "messages in it wait"))
    result = ctl("delete", "@carol")
    assert (result.code, result.err) == (1, "chatctl: messages in it wait\n")
