# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that must see every message: named consumers and changes.wait, whatever dies meanwhile."""

import pytest

from people import People, until
from rpc import RpcError


@pytest.fixture
def pair(tmp_path):
    with People(tmp_path) as people:
        yield people.sign_in("alice"), people.sign_in("bob")


def subscribe(client, **options):
    return client.call("events.subscribe", consumer="bot", topics=["message.added"], **options)


def send(sender, *texts):
    for text in texts:
        sender.call("messages.send", user_id="bob", text=text)


def test_what_is_not_acknowledged_is_told_again(pair):
    alice, bob = pair
    send(alice, "1", "2", "3")
    with bob.connect() as bot:
        subscribe(bot, since=0)
        first, second = bot.next_change(), bot.next_change()
        assert [c["data"]["text"] for c in (first, second)] == ["1", "2"]
        assert bot.call("events.ack", consumer="bot", seq=first["seq"])["seq"] == first["seq"]
    bob.kill()
    send(alice, "4")
    bob.start()
    with bob.connect() as bot:
        # 'since' speaks of a new one only.
        assert subscribe(bot, since=0)["seq"] == first["seq"]
        seen = []
        while len(seen) < 3:
            change = bot.next_change()
            seen.append(change["data"]["text"])
            bot.call("events.ack", consumer="bot", seq=change["seq"])
        assert seen == ["2", "3", "4"]
        # Never back.
        assert bot.call("events.ack", consumer="bot", seq=first["seq"])["seq"] == change["seq"]
        [kept] = bot.call("events.consumers")["consumers"]
        assert kept == {"consumer": "bot", "seq": change["seq"]}
        bot.call("events.forget", consumer="bot")
        assert bot.call("events.consumers")["consumers"] == []


def test_acknowledgements_are_checked(pair):
    _, bob = pair
    with bob.connect() as bot:
        for method, params, kind in (
                ("events.ack", {"consumer": "bot", "seq": 0}, "not_found"),
                ("events.forget", {"consumer": "bot"}, "not_found")):
            with pytest.raises(RpcError) as error:
                bot.call(method, **params)
            assert error.value.kind == kind
        subscribe(bot)
        with pytest.raises(RpcError) as error:
            bot.call("events.ack", consumer="bot", seq=1 << 50)
        assert error.value.kind == "invalid"


def test_consumers_are_limited(pair):
    _, bob = pair
    with bob.connect() as bot:
        for i in range(256):
            bot.call("events.subscribe", consumer=f"c{i}")
        with pytest.raises(RpcError) as error:
            bot.call("events.subscribe", consumer="one-more")
        assert error.value.kind == "conflict"
        bot.call("events.subscribe", consumer="c7")


def test_waiting_for_a_change(pair):
    alice, bob = pair
    with bob.connect() as script:
        assert script.call("changes.wait", timeout_ms=0)["changes"] == []
        position = script.call("chats.list")["as_of"]
        waiting = script.start("changes.wait", since=position, topics=["message.added"])
        send(alice, "hello")
        answer = script.finish(waiting)
        [change] = answer["changes"]
        assert change["topic"] == "message.added"
        text = script.call("messages.get", message_id=change["message_id"])["text"]
        assert text == "hello"
        send(alice, "again")
        until(lambda: bob.texts("alice") == ["hello", "again"])
        late = script.call("changes.wait", since=answer["seq"], topics=["message.added"])
        assert len(late["changes"]) == 1
