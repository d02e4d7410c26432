# SPDX-License-Identifier: GPL-3.0-or-later
"""Full-text search over what is here, at once after it came, and after a kill."""

import pytest

from people import People, until
from rpc import RpcError

TEXTS = ["Lunch at the Café Müller?", "cafeteria is closer", "ἀλφα βῆτα", "that's all",
         "مرحبا بالعالم", "say \"hello world\" OR goodbye", "hello, wide world"]


@pytest.fixture
def pair(tmp_path):
    with People(tmp_path) as people:
        alice, bob = people.sign_in("alice"), people.sign_in("bob")
        for text in TEXTS:
            alice.call("messages.send", user_id="bob", text=text)
        until(lambda: bob.texts("alice") == TEXTS)
        yield alice, bob


def found(account, query, **options):
    results = account.call("messages.search", query=query, **options)["results"]
    for result in results:
        assert "".join(piece["text"] for piece in result["snippet"]) == result["message"]["text"]
        assert any(piece["match"] for piece in result["snippet"])
    return [TEXTS.index(result["message"]["text"]) for result in results]


@pytest.mark.parametrize("query, expected", [
    ("cafe", [1, 0]), ("CAFÉ", [1, 0]), ("caf mull", [0]), ("ἀλφ", [2]), ("مرحبا", [4]),
    ("hello world", [6, 5]), ('"hello world"', [5]), ("OR", [5]), ("hello NOT world", []),
    ("that's", [3]), ("text:hello", []), ("*", []), ('"', []), ("h", [6, 5]), ("(", []), ("xyz", [])])
def test_words_are_found(pair, query, expected):
    _, bob = pair
    assert found(bob, query) == expected


def test_search_in_one_chat_and_by_pages(pair):
    alice, bob = pair
    alice.call("messages.send", user_id="carol", text=TEXTS[1])
    assert len(found(alice, "cafe")) == 3
    assert found(alice, "cafe", chat_id=alice.chat_with("bob")) == [1, 0]
    seen, cursor = [], None
    while cursor is not None or not seen:
        page = bob.call("messages.search", query="o", limit=1, cursor=cursor)
        seen += [r["message"]["text"] for r in page["results"]]
        cursor = page["cursor"]
    assert len(seen) == len(set(seen))
    with pytest.raises(RpcError) as error:
        bob.call("messages.search", query="x", chat_id="nowhere")
    assert error.value.kind == "not_found"
    for query in (" ", "\t", "a " * 33):
        with pytest.raises(RpcError) as error:
            bob.call("messages.search", query=query)
        assert error.value.kind == "invalid_params"


def test_the_index_survives_a_kill(pair):
    _, bob = pair
    assert found(bob, "hello") == [6, 5]
    bob.kill()
    bob.start()
    assert found(bob, "hello") == [6, 5]


def test_much_that_came_at_once_is_found(pair):
    alice, bob = pair
    with alice.connect() as client:
        for i in range(1500):
            client.start("messages.send", user_id="bob", text=f"number {i}")
        client.call("daemon.status")
    until(lambda: bob.call("messages.search", query="1499")["results"])
    assert len(bob.call("messages.search", query="number", limit=200)["results"]) == 200
