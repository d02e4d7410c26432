# SPDX-License-Identifier: GPL-3.0-or-later
"""The example frontends do what they show."""

import os
import pathlib
import subprocess
import sys

import pytest

from chatctl_support import Running, fake, program  # noqa: F401 (fixture)

EXAMPLES = pathlib.Path(__file__).parents[2] / "docs/examples"


def start(command):
    return Running(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE))


def test_c_example(fake):
    fake.add_message("c-1", "earlier", status="READ")
    with start([program("docs/examples/chat"), "c-1", fake.path]) as chat:
        assert chat.line() == "bob: earlier [READ]"
        fake.wait_for(lambda: fake.connections[0].position is not None)
        message = fake.add_message("c-1", "now")
        fake.add_chat("c-2", "carol", "Carol")
        fake.add_message("c-2", "another chat")
        assert chat.line() == "bob: now [RECEIVED]"
        chat.process.stdin.write(b"typed\nfast\n")
        chat.process.stdin.close()
        chat.process.stdin = None
        assert chat.line() == "me: typed [PENDING]"
        assert chat.line() == "me: fast [PENDING]"
        fake.drop()
        fake.set_status(message["message_id"], "READ")
        assert chat.line() == "bob: now [READ]"


def test_c_example_tells_what_is_wrong(fake):
    command = [program("docs/examples/chat"), "nothing", fake.path]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 1 and done.stderr == b"there is no such chat\n"
    done = subprocess.run(command[:1], capture_output=True, check=False)
    assert done.returncode == 2


def test_python_example(fake):
    fake.add_message("c-1", "earlier")
    with start([sys.executable, EXAMPLES / "chats.py", fake.path]) as chats:
        assert chats.line() == "'Bob Martin': 1 unread"
        fake.wait_for(lambda: fake.connections[0].position is not None)
        fake.add_message("c-1", "now\x1b")
        assert chats.line() == r"'bob' wrote 'now\x1b'"


@pytest.mark.parametrize("name, most", [("chat.c", 120), ("chats.py", 45)])
def test_examples_stay_short(name, most):
    assert len((EXAMPLES / name).read_text().splitlines()) <= most


def test_examples_stand_alone():
    source = (EXAMPLES / "chat.c").read_text()
    assert [line for line in source.splitlines() if '#include "' in line] == []
    assert os.access(EXAMPLES / "chats.py", os.X_OK)
