# SPDX-License-Identifier: GPL-3.0-or-later
"""What chatctl shows of messages that are not sent, and does with them."""

from chatctl_support import ctl, fake  # noqa: F401 (fixtures)


def test_outbox_shows_what_waits_and_why_something_failed(fake, ctl):
    chat = next(iter(fake.chats))
    ids = [fake.add_message(chat, f"text {n}", outgoing=True, status="PENDING")["message_id"]
           for n in range(7)]
    fake.set_status(ids[3], "FAILED", {"title": "Refused", "detail": "too rude"})
    fake.page_max = 3
    result = ctl("outbox", "--json")
    assert result.code == 0
    assert [m["message_id"] for m in result.json if m["message_id"] in ids] == ids
    shown = ctl("outbox")
    assert "Refused: too rude" in shown.out and ids[3] in shown.out
    assert len(ctl("outbox", "--limit=2", "--json").json) == 2


def test_outbox_says_to_whom(fake, ctl):
    fake.add_chat("c-2", "zoe", None)
    for chat in ("c-1", "c-2", "c-1"):
        fake.add_message(chat, "hi", outgoing=True)
    shown = ctl("outbox").lines
    assert ["→ Bob Martin" in shown[1], "→ zoe " in shown[3], "→ Bob Martin" in shown[5]] == [True] * 3
    assert len(fake.params("chats.get")) == 2


def test_an_empty_outbox_says_so(fake, ctl):
    for message in fake.messages.values():
        message["status"] = "SENT"
    result = ctl("outbox")
    assert (result.code, result.out, result.err) == (0, "", "Nothing is waiting.\n")


def test_retry_and_cancel(fake, ctl):
    chat = next(iter(fake.chats))
    message_id = fake.add_message(chat, "x", outgoing=True, status="FAILED")["message_id"]
    assert ctl("retry", message_id).code == 0
    assert fake.messages[message_id]["status"] == "PENDING"
    result = ctl("cancel", message_id, "--json")
    assert (result.code, result.json) == (0, [{"message_id": message_id}])
    assert message_id not in fake.messages
    assert ctl("cancel", message_id).code == 6
    sent = fake.add_message(chat, "y", outgoing=True, status="SENT")["message_id"]
    result = ctl("retry", sent)
    assert result.code == 1 and "the server has this message" in result.err
    assert ctl("cancel").code == 2
