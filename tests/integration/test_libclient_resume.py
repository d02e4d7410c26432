# SPDX-License-Identifier: GPL-3.0-or-later
"""What frontends are promised: every change once and in order, whatever the connection does."""

import random
import threading

import pytest

from chatctl_support import ctl, fake  # noqa: F401 (fixtures)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_change_is_missed_or_told_twice(fake, ctl, seed):
    choice = random.Random(seed)
    total = 200
    cuts = choice.sample(range(total), 5)
    expected = []

    def work():
        for i in range(total):
            expected.append(fake.add_message("c-1", f"{i} " + "x" * choice.randrange(2000))["seq"])
            if i not in cuts:
                continue
            fake.wait_for(lambda: any(c.position is not None for c in fake.connections))
            if i % 2:
                fake.drop()
            else:
                fake.stop()
                fake.start()

    with ctl.start("watch", "--json") as running:
        fake.wait_for(lambda: fake.connections and fake.connections[0].position is not None)
        worker = threading.Thread(target=work)
        worker.start()
        seen = [running.json_line()["seq"] for _ in range(total)]
        worker.join()
    assert seen == expected
    assert fake.accepted > len(cuts)


def test_a_line_cut_anywhere_is_told_whole_afterwards(fake, ctl):
    """The daemon dies while it writes a change, at a place of chance, again and again."""
    choice = random.Random(4)
    original = fake._tell

    def tell(connection, seq, topic, data):
        if connection.wants(topic, data) and choice.random() < 0.1:
            line = b'{"jsonrpc":"2.0","method":"change","params":{"seq":%d,"topic":"%s"' % (
                seq, topic.encode())
            connection.send_raw(line[:choice.randrange(len(line))])
            connection.position = None
            connection.close()
            return
        original(connection, seq, topic, data)

    fake._tell = tell
    with ctl.start("watch", "--json", "--since=100") as running:
        for i in range(60):
            seq = fake.add_message("c-1", str(i))["seq"]
            assert running.json_line()["seq"] == seq
