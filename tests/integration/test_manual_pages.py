# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual pages say what the programs say, and are well-formed."""

import os
import pathlib
import re
import subprocess

import pytest

from chatctl_support import program

TREE = pathlib.Path(__file__).parents[2]
PAGES = ["chatctl.1", "chatd.8", "chatd.conf.5", "chatd-api.7"]


def test_they_are_up_to_date():
    build = os.path.dirname(program("chatctl"))
    done = subprocess.run([TREE / "tools/make-man", "--check", build], capture_output=True,
                          check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("page", PAGES)
def test_the_linter_has_nothing_to_say(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", TREE / "docs/man" / page],
                          capture_output=True, check=False)
    assert done.returncode == 0 and done.stdout == b"", done.stdout.decode()


@pytest.mark.parametrize("page", PAGES)
def test_they_can_be_read(page):
    shown = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=78", TREE / "docs/man" / page],
                           capture_output=True, check=True).stdout.decode()
    shown = re.sub(".\b", "", shown)  # bold and underlined
    assert len(shown.splitlines()) > 40
    for left in ("**", "](", "@OPT", "@API"):
        assert left not in shown


def test_the_file_s_settings_are_all_there():
    source = (TREE / "daemon/settings.c").read_text(encoding="utf-8")
    page = (TREE / "docs/man/chatd.conf.5.in").read_text(encoding="utf-8")
    assert re.findall(r"^\.It Va (\w+)$", page, re.M) == re.findall(
        r'^\t\{ "(\w+)", offsetof\(struct config', source, re.M)
