# SPDX-License-Identifier: GPL-3.0-or-later
"""What chatctl shows: status, chats, messages; to people and to scripts."""

import re
import unicodedata

import pytest

from chatctl_support import Chatctl, ctl, fake  # noqa: F401 (fixtures)
from fake_chatd import RpcError, now

DAY = 86400_000


def width(text):
    """Columns on a terminal: combining marks and joiners take none, wide characters two."""
    columns = 0
    for c in text:
        if unicodedata.combining(c) or unicodedata.category(c) in ("Cf", "Me", "Mn"):
            continue
        columns += 2 if unicodedata.east_asian_width(c) in "WF" else 1
    return columns


def test_status_for_people(fake, ctl):
    fake.add_message("c-1", "hi")
    result = ctl("status")
    assert result.code == 0 and result.err == ""
    assert result.lines == [
        "Account      Alice Adams (@alice) at http://127.0.0.1:8080",
        result.lines[1],
        "Unread       1",
        "Outbox       2 pending, 1 failed",
        "Transfers    1 active, 0 waiting",
        "Push         ready, by org.example.Ntfy",
        "Storage      ok, 1.2 MB",
        "Key          file (the weakest place)",
        "Daemon       chatd 0.1.0, API 1.0",
    ]
    assert re.fullmatch(r"Connection   LIVE since (yesterday )?\d\d:\d\d", result.lines[1])


def test_status_tells_why_there_is_no_connection(fake, ctl):
    fake.state = {"state": "BACKOFF", "since": now(), "next_attempt_at": now() + 42_000,
                  "last_error": "no route\x1b[2J to host"}
    shown = ctl("status").lines[1]
    assert re.search(r"BACKOFF since \d\d:\d\d, next attempt in 4\d s; no route␛\[2J to host", shown)


def test_status_of_nobody(fake, ctl):
    fake.account = {"name": "default", "server": None, "user_id": None, "user_name": None,
                    "signed_in": False}
    assert "not signed in" in ctl("status").lines[0]


def test_status_for_scripts(fake, ctl):
    result = ctl("status", "--json")
    assert len(result.lines) == 1
    assert result.json[0]["connection"] == fake.state
    assert result.json[0]["versions"]["sqlcipher"] == "4.6.1"  # what chatctl does not know stays


def test_json_can_be_pretty(ctl):
    result = ctl("--json=pretty", "status")
    assert result.code == 0 and len(result.lines) > 10


def test_chats_are_an_aligned_table(fake, ctl):
    fake.add_chat("c-2", "carol", "Carol Anne Featherstonehaugh-Cholmondeley")
    fake.add_chat("c-3", "yuki", "ユキ")
    fake.add_chat("c-4", "dan", "דניאל")
    fake.add_chat("c-5", "eve", None)
    fake.add_message("c-2", "word " * 40, created_at=now() - DAY)
    fake.add_message("c-3", "日本語" * 30, created_at=now() - 2 * DAY)
    fake.add_message("c-4", "👩‍👩‍👧 family", created_at=now() - 400 * DAY)
    fake.add_message("c-5", "mine", outgoing=True, status="FAILED", created_at=now() - 500 * DAY)
    result = ctl("chats")
    assert result.code == 0
    heading, *rows = result.lines
    assert re.match(r"NAME +UNREAD  WHEN +LAST MESSAGE", heading)
    assert len(rows) == 5
    assert all(width(row) <= 80 for row in rows)
    column = heading.index("WHEN")
    for row in rows:
        cut = next(i for i in range(len(row) + 1) if width(row[:i]) >= column)
        assert row[cut - 2:cut] == "  " and row[cut] != " ", row
    assert rows[0].startswith("Carol Anne Feathers…") and rows[0].endswith("…")
    assert "yesterday" in rows[0]
    assert any("you (FAILED): mine" in row and row.startswith("eve") for row in rows)
    assert rows[-1].startswith("Bob Martin")  # without a message it has no time
    assert "-" in rows[-1].split()


def test_chats_can_show_their_ids(ctl):
    result = ctl("chats", "--ids")
    assert result.lines[0].split() == ["CHAT", "USER", "NAME"]
    assert result.lines[1].split()[:2] == ["c-1", "bob"]


def test_chats_for_scripts_page_as_needed(fake, ctl):
    fake.page_max = 7
    for i in range(20):
        fake.add_chat(f"x-{i}", f"user{i}", f"User {i}", last_message_timestamp=i + 1)
    result = ctl("chats", "--json", "--limit=1000")
    assert len(result.json) == 21
    assert [c["chat_id"] for c in result.json[:2]] == ["x-19", "x-18"]
    assert len(ctl("chats", "--json", "-n", "10").json) == 10
    assert "There are more" in ctl("chats", "-n", "10").err


def test_no_chats_is_not_an_error(fake, ctl):
    fake.chats.clear()
    result = ctl("chats")
    assert (result.code, result.out, result.err) == (0, "", "No chats yet.\n")


def test_messages_in_order_with_their_statuses(fake, ctl):
    fake.add_message("c-1", "first\nsecond line", status="READ", created_at=now() - DAY)
    photo = fake.add_message("c-1", "look")
    fake.add_attachment(photo["message_id"], "a-1", b"x" * 2_500_000, status="DOWNLOADING",
                        progress=1_000_000)
    fake.add_message("c-1", "answer", outgoing=True, status="RECEIVED")
    fake.add_message("c-1", "no", outgoing=True, status="FAILED",
                     error={"title": "Refused", "detail": "too rude"})
    result = ctl("messages", "bob")
    assert result.code == 0
    text = re.sub(r"\d\d:\d\d", "hh:mm", result.out).splitlines()
    assert text == [
        "yesterday hh:mm  Bob Martin                first",
        "                                           second line",
        "hh:mm            Bob Martin      new       look",
        "                                           photo a-1 cat.jpg 640x480 2.5 MB DOWNLOADING 40%",
        "hh:mm            you             RECEIVED  answer",
        "hh:mm            you             FAILED    no",
        "                                           Refused: too rude",
    ]


def test_messages_with_ids(fake, ctl):
    message = fake.add_message("c-1", "hi")
    assert ctl("messages", "bob", "--ids").lines[0] == message["message_id"]


def test_messages_are_paged_in_both_directions(fake, ctl):
    fake.page_max = 30
    for i in range(100):
        fake.add_message("c-1", str(i))
    texts = lambda *args: [m["text"] for m in ctl("messages", "bob", "--json", *args).json]
    assert texts() == [str(i) for i in range(80, 100)]
    assert texts("--limit=70") == [str(i) for i in range(30, 100)]
    assert texts("--limit=500") == [str(i) for i in range(100)]
    assert texts("--before=m-50", "--limit=3") == ["46", "47", "48"]
    assert texts("--after=m-50", "--limit=3") == ["50", "51", "52"]
    assert texts("--after=m-50", "--limit=45") == [str(i) for i in range(50, 95)]
    assert ctl("messages", "bob", "--before=m-1", "--after=m-2").code == 2


def test_search_for_people(fake, ctl):
    fake.add_chat("c-2", "carol", "Carol Anne Featherstonehaugh-Cholmondeley")
    fake.add_message("c-1", "the disk is full", created_at=now() - DAY)
    fake.add_message("c-2", "Disks\nare cheap", outgoing=True, created_at=now() - DAY)
    result = ctl("search", "disk")
    assert result.code == 0 and result.err == ""
    assert re.sub(r"\d\d:\d\d", "hh:mm", result.out).splitlines() == [
        "yesterday hh:mm  Carol Anne Feathers…  you: Disks are cheap",
        "yesterday hh:mm  Bob Martin            the disk is full",
    ]
    assert ctl("search", "disk", "full", "--ids").lines[0] == "m-1"
    assert "\x1b" not in result.out


def test_search_in_one_chat(fake, ctl):
    fake.add_chat("c-2", "carol", "Carol")
    fake.add_message("c-1", "disk one")
    fake.add_message("c-2", "disk two")
    texts = lambda *args: [r["message"]["text"] for r in ctl("search", "--json", *args).json]
    assert texts("disk") == ["disk two", "disk one"]
    assert texts("disk", "--chat=carol") == ["disk two"]
    assert texts("disk", "one", "--chat", "c-2") == []
    assert ctl("search", "disk", "--chat=nobody").code == 6
    assert ctl("search").code == 2


def test_search_pages_as_needed(fake, ctl):
    fake.page_max = 7
    for i in range(25):
        fake.add_message("c-1", f"disk {i}")
    assert len(ctl("search", "disk", "--json").json) == 20
    result = ctl("search", "disk", "--limit=24")
    assert len(result.lines) == 24 and "There are more" in result.err
    assert ctl("search", "disk", "--limit=25").err == ""
    assert sum(m == "chats.get" for m, _ in fake.requests) == 2  # one name, asked for once a run


def test_nothing_found_is_not_an_error(ctl):
    result = ctl("search", "xyzzy")
    assert (result.code, result.out, result.err) == (0, "", "Nothing found.\n")
    assert ctl("search", "xyzzy", "--json").err == ""


def test_what_was_found_is_shown_on_a_terminal(fake, ctl):
    fake.add_message("c-1", "word " * 20 + "the disk שלום " + "and more " * 5)
    code, shown = ctl.on_terminal("search", "disk").finish()
    assert code == 0 and "\x1b[1;31mdisk\x1b[0m" in shown
    lines = re.sub(r"\x1b\[[\d;]+m", "", shown).splitlines()
    assert len(lines) > 3 and all(width(line) <= 80 for line in lines)
    assert all(line.startswith(" " * 39) for line in lines[1:])
    _, shown = ctl.on_terminal("search", "disk", env={"NO_COLOR": "1"}).finish()
    assert "\x1b" not in shown


def test_a_match_that_is_wider_than_a_line_stays_marked(fake, ctl):
    fake.add_message("c-1", "disk" * 30)
    _, shown = ctl.on_terminal("search", "disk").finish()
    assert all(re.fullmatch(r".*\x1b\[1;31m(disk|kdis|skdi|iskd|d|i|s|k)+\x1b\[0m", line)
               for line in shown.splitlines())
    assert re.sub(r"\x1b\[[\d;]+m", "", shown).count("disk") > 20


def test_json_keeps_the_text_as_it_was_written(fake, ctl):
    text = 'quote " backslash \\ newline \n escape \x1b[31m 😀 \u202e'
    fake.add_message("c-1", text)
    result = ctl("messages", "bob", "--json")
    assert result.json[0]["text"] == text
    assert len(result.lines) == 1 and "\x1b" not in result.out


@pytest.mark.parametrize("verb", [("chats",), ("messages", "bob"), ("photo", "list", "bob"),
                                  ("search", "x")])
def test_nothing_drives_the_terminal(fake, ctl, verb):
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\x08\r\u202e\u2066x\x7f"
    fake.chats["c-1"]["username"] = "Bob" + evil
    message = fake.add_message("c-1", evil, outgoing=True, status="FAILED",
                               error={"title": evil, "detail": evil})
    fake.add_attachment(message["message_id"], "a" + evil, b"x", name=evil)
    out = ctl(*verb).out
    assert "x" in out
    assert not [c for c in out if c != "\n" and unicodedata.category(c) in ("Cc", "Cf")]


def test_a_hostile_error_does_not_drive_it_either(fake, ctl):
    def refuse(connection, request):
        raise RpcError("busy", "\x1b[2J\nsecond")
    fake.on("daemon.status", refuse)
    result = ctl("status")
    assert (result.code, result.err) == (1, "chatctl: ␛[2J second\n")


@pytest.mark.parametrize("name", ["c-1", "bob", "@bob", "Bob Martin", "bOB m", "BOB"])
def test_a_chat_goes_by_many_names(fake, ctl, name):
    fake.add_message("c-1", "hi")
    assert ctl("messages", name, "--json").json[0]["text"] == "hi"


def test_names_are_compared_in_any_case_of_any_letter(fake, ctl):
    fake.add_chat("c-2", "u2", "Élodie Þórsdóttir")
    fake.add_message("c-2", "hi")
    assert ctl("messages", "éLODIE þÓR", "--json").json[0]["text"] == "hi"


def test_a_whole_name_wins_over_a_beginning(fake, ctl):
    fake.page_max = 1
    fake.add_chat("c-2", "u2", "Bob")
    fake.add_chat("c-3", "u3", "Bobby")
    fake.add_message("c-2", "the one")
    fake.chats["c-1"]["user_id"] = "martin"
    assert ctl("messages", "bob", "--json").json[0]["text"] == "the one"


def test_an_ambiguous_name_lists_who_was_meant(fake, ctl):
    fake.add_chat("c-2", "bobby", "Bobby Tables")
    result = ctl("messages", "Bo")
    assert result.code == 2
    assert "Bob Martin (@bob)" in result.err and "Bobby Tables (@bobby)" in result.err


def test_an_unknown_chat_is_not_found(ctl):
    result = ctl("messages", "nobody")
    assert (result.code, result.err) == (6, "chatctl: there is no chat with 'nobody'\n")
    result = ctl("messages", "nobody", "--json")
    assert result.error["kind"] == "not_found" and result.error["code"] == 1


def test_read_marks_the_newest_incoming_message(fake, ctl):
    fake.page_max = 2
    fake.add_message("c-1", "one")
    newest = fake.add_message("c-1", "two")
    for _ in range(5):
        fake.add_message("c-1", "mine", outgoing=True)
    assert ctl("read", "bob").code == 0
    assert fake.params("messages.mark_read") == [
        {"chat_id": "c-1", "message_id": newest["message_id"]}]
    result = ctl("read", "bob", "m-1", "--json")
    assert result.json == [{"chat_id": "c-1", "message_id": "m-1"}]
    assert ctl("read", "bob", "m-99").code == 6


def test_read_of_an_empty_chat_does_nothing(fake, ctl):
    assert ctl("read", "bob").code == 0
    assert fake.params("messages.mark_read") == []


def test_tables_take_the_terminals_width_and_colours(fake, ctl):
    fake.add_message("c-1", "long " * 40)
    code, shown = ctl.on_terminal("chats", width=60).finish()
    assert code == 0
    plain = re.sub(r"\x1b\[\d+m", "", shown)
    assert "\x1b[1m" in shown
    assert all(width(line) <= 60 for line in plain.splitlines())
    _, shown = ctl.on_terminal("chats", env={"NO_COLOR": "1"}).finish()
    assert "\x1b" not in shown


def test_messages_are_wrapped_on_a_terminal(fake, ctl):
    fake.add_message("c-1", "word " * 40 + "שלום")
    _, shown = ctl.on_terminal("messages", "bob", env={"NO_COLOR": "1"}).finish()
    lines = shown.splitlines()
    assert len(lines) > 4 and all(width(line) <= 80 for line in lines)
    assert all(line.startswith(" " * 43 + "word") for line in lines[1:-1])
    assert "שלום\u200e" in shown  # nothing behind it is pulled to its left


def test_call_passes_json_through(fake, ctl):
    assert ctl("call", "chats.get", '{"chat_id":"c-1"}').json[0]["user_id"] == "bob"
    assert ctl("call", "chats.get", "-", stdin=b'{"user_id":"bob"}\n').json[0]["chat_id"] == "c-1"
    assert len(ctl("call", "chats.list").lines) == 1
    assert len(ctl("call", "chats.list", "--json=pretty").lines) > 5
    assert ctl("call", "chats.get", '{"chat_id":"x"}').code == 6
    assert ctl("call", "no.such", "{}").code == 2
    assert ctl("call", "chats.get", "[]").code == 1
    assert ctl("call", "events.subscribe").code == 1


@pytest.mark.parametrize("kind, code", [
    ("locked", 4), ("login_required", 4), ("offline", 5), ("not_found", 6), ("busy", 1),
    ("denied", 1), ("storage_full", 1)])
def test_exit_codes_follow_the_error(fake, ctl, kind, code):
    def refuse(connection, request):
        raise RpcError(kind, "because", retry_after_ms=5)
    fake.on("daemon.status", refuse, refuse)
    result = ctl("status")
    assert result.code == code
    assert "because" in result.err and result.out == ""
    result = ctl("status", "--json")
    assert result.code == code
    assert result.error["kind"] == kind and result.error["retry_after_ms"] == 5


def test_no_daemon(fake, tmp_path):
    fake.stop()
    fake.listener = None
    result = Chatctl(tmp_path)("status")
    assert result.code == 3
    assert result.err == ("chatctl: chatd is not running; start it with 'systemctl --user start "
                          "chatd.socket'\n")
    assert "start chatd@work.socket'" in Chatctl(tmp_path)("status", "--account=work").err
    assert Chatctl(tmp_path, fake.path)("status").code == 3
    result = Chatctl(tmp_path)("status", "--json")
    assert result.error["kind"] == "not_running"
    fake.start()


def test_the_account_names_the_socket(tmp_path):
    from fake_chatd import FakeChatd
    import os
    import tempfile
    with tempfile.TemporaryDirectory(prefix="chatctl-") as directory:
        os.mkdir(directory + "/chatd")
        daemon = FakeChatd(directory + "/chatd/work.sock").start()
        try:
            assert Chatctl(directory)("--account=work", "status").code == 0
            assert Chatctl(directory)("--account=../work", "status").code == 2
        finally:
            daemon.stop()


@pytest.mark.parametrize("args, hint", [
    (("stauts",), "did you mean 'status'?"), (("chat",), "did you mean 'chats'?"),
    (("mesages",), "did you mean 'messages'?"), (("photo", "gte"), "did you mean 'photo get'?"),
    (("xyzzy",), "--help lists them"), ((), "a command is missing"),
    (("messages",), "Usage: chatctl messages CHAT"), (("status", "x"), "Usage:"),
    (("--frob",), "frob"), (("chats", "--wait"), "wait"), (("chats", "--limit=0"), "above 0"),
    (("chats", "--limit=x"), "not a number"), (("status", "--json=yaml"), "pretty"),
    (("send", "a", "b", "--wait=gone"), "sent, received or read"),
    (("send", "a", "b", "--timeout=soon"), "seconds"), (("help", "foo"), "not a command")])
def test_wrong_usage(ctl, args, hint):
    result = ctl(*args)
    assert result.code == 2 and result.out == ""
    assert hint in result.err and "Sanitizer" not in result.err


def test_help(tmp_path):
    ctl = Chatctl(tmp_path)  # needs no daemon
    text = ctl("--help").out
    for word in ("status", "photo get", "Exit codes:", "3  the daemon is not running", "CHAT is"):
        assert word in text
    assert ctl("help").out == text
    for verb in ("status", "login", "chats", "messages", "send", "read", "search", "watch", "wait",
                 "photo get", "photo list", "completion", "call"):
        result = ctl(*verb.split(), "--help")
        assert result.code == 0 and result.out.startswith(f"Usage: chatctl {verb}")
        assert "Exit codes:" in result.out
    for verb in (["send"], ["photo", "get"]):
        told = ctl(*verb, "--help").out
        assert ctl("help", *verb).out == told and ctl("--help", *verb).out == told
    assert ctl("--version").out == "chatctl 0.1.0\n"
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_full_disk_is_noticed(ctl):
    import subprocess
    with open("/dev/full", "wb") as full:
        done = subprocess.run(ctl.command("chats"), stdout=full, stderr=subprocess.PIPE,
                              env=ctl.environment(), check=False)
    assert done.returncode == 1 and b"standard output" in done.stderr
