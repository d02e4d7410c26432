# SPDX-License-Identifier: GPL-3.0-or-later
"""What Tab makes of a chatctl command line, in bash, zsh and fish themselves."""

import os
import pathlib
import shlex
import shutil
import subprocess

import pytest

from chatctl_support import Chatctl, Terminal, bare_program, ctl, fake  # noqa: F401 (fixtures)

SCRIPTS = pathlib.Path(__file__).parents[2] / "ctl" / "completion"
MILES = 'Miles "O\'Brien" $HOME `x` \\ y: z=1 & k!'
ANNA = "Anna María López"

needs = {shell: pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed")
         for shell in ("zsh", "fish")}


@pytest.fixture
def people(fake):
    fake.add_chat("c-2", "obrien", MILES)
    fake.add_chat("c-3", "anna", ANNA)
    return fake


@pytest.fixture
def unsent(people):
    return people.add_message("c-1", "no", outgoing=True, status="FAILED", message_id="id:1=x")


def answers(ctl, *words):
    result = ctl("__complete", f"--socket={ctl.socket}", *words)
    assert result.code == 0 and result.err == ""
    return [line.split("\t")[0] for line in result.out.splitlines()]


@pytest.mark.parametrize("words, expected", [
    (("sta",), ["status"]), (("p",), ["passphrase", "photo"]),
    (("photo", ""), ["get", "list", "show"]), (("photo", "l"), ["list"]), (("help", "sea"), ["search"]), (("he",), ["help"]),
    (("xyzzy", ""), []), (("xyzzy", "-"), ["--account", "--socket", "--json", "--help",
                                           "--version"]),
    (("send", "x", "--wa"), ["--wait"]), (("--", "sta"), ["status"]), (("send", "--", "-"), []),
    (("send", "x", "--wait="), ["--wait=sent", "--wait=received", "--wait=read"]),
    (("send", "x", "--wait=re"), ["--wait=received", "--wait=read"]),
    (("chats", "--jso"), ["--json"]), (("chats", "--json="), ["--json=pretty"]),
    (("watch", "--topics", "message.r"), ["message.removed"]),
    (("watch", "--topics=connection,chat.u"), ["--topics=connection,chat.updated"]),
    (("completion", ""), ["bash", "zsh", "fish"]),
    (("send", "-a", "x", "Bo"), ["Bob Martin"]), (("messages", "-n5", "Bo"), ["Bob Martin"]),
    (("messages", "-n", "5", "Bo"), ["Bob Martin"]), (("send", "Bob", ""), []),
    (("send", ""), ["Bob Martin", MILES, ANNA]), (("search", "word", "--chat", "An"), [ANNA]),
    (("search", "--chat=An"), ["--chat=" + ANNA]), (("send", "@"), ["@bob", "@obrien", "@anna"]),
    (("send", "bOB m"), ["Bob Martin"]), (("send", "anna mARÍ"), [ANNA]), (("chats", ""), []),
    (("send", "x", "--attach="), [""]), (("photo", "get", "a", "-o", ""), [""]),
])
def test_words(people, ctl, words, expected):
    assert answers(ctl, *words) == expected


def test_a_chat_is_offered_by_an_id_where_its_name_leads_elsewhere(fake, ctl):
    fake.add_chat("c-2", "amy1", "Amy")
    fake.add_chat("c-3", "amy2", "AMY")
    fake.add_chat("c-4", "cat", "c-3")
    fake.add_chat("c-5", "dash", "--help")
    fake.add_chat("c-6", "two", "two\nlines")
    fake.add_chat("c-7", "none", None)
    offered = answers(ctl, "send", "")
    assert offered == ["Bob Martin", "@amy1", "@amy2", "@cat", "@dash", "@two", "@none"]
    for i, name in enumerate(offered):
        assert ctl("messages", name).code == 0, name
    fake.add_chat("c-8", "bob2", "bob")  # a whole name wins; the longer one stays its own
    assert ctl("messages", answers(ctl, "send", "Bob")[0]).code == 0


def test_case_is_only_changed_for_one(people, ctl):
    people.add_chat("c-9", "bobby", "Bobby")
    assert answers(ctl, "send", "bob") == []
    assert answers(ctl, "send", "bobb") == ["Bobby"]


def test_methods_and_accounts(people, ctl, tmp_path):
    def discover(connection, request):
        return {"methods": [{"name": "chats.list", "summary": "The chats."},
                            {"name": "users.get", "summary": "A person."}]}
    people.on("rpc.discover", discover)
    assert answers(ctl, "call", "ch") == ["chats.list"]
    (tmp_path / "chatd").mkdir()
    (tmp_path / "chatd" / "work.sock").touch()
    assert answers(ctl, "--account", "") == ["work"]


def described(ctl, *words):
    result = ctl("__complete", f"--socket={ctl.socket}", *words)
    assert result.code == 0 and result.err == ""
    return [tuple(line.split("\t")) for line in result.out.splitlines()]


def test_settings_and_their_values(fake, ctl):
    assert described(ctl, "settings", "") == [("photos.quality", "good"),
                                              ("connection.grace_s", "5")]
    assert answers(ctl, "settings", "ph") == ["photos.quality"]
    assert described(ctl, "settings", "photos.quality", "") == [
        ("best", "default"), ("good", "now"), ("original", "")]
    assert described(ctl, "settings", "connection.grace_s", "") == [("5", "now"), ("60", "default")]
    assert answers(ctl, "settings", "connection.grace_s", "6") == ["60"]
    assert answers(ctl, "settings", "none", "") == []
    assert answers(ctl, "settings", "photos.quality", "best", "") == []


def test_messages_that_are_not_sent(fake, ctl):
    failed = [fake.add_message("c-1", f"no {i}\tx", outgoing=True, status="FAILED")["message_id"]
              for i in range(2)]
    waiting = fake.add_message("c-1", "soon", outgoing=True)["message_id"]
    fake.add_message("c-1", "sent", outgoing=True, status="SENT")
    fake.add_message("c-1", "theirs")
    assert answers(ctl, "retry", "") == failed
    assert answers(ctl, "retry", failed[0], "") == failed[1:]
    assert answers(ctl, "cancel", "") == [*failed, waiting]
    assert described(ctl, "cancel", failed[1])[0][1].endswith(" FAILED no 1 x")


def test_messages_of_the_chat_that_is_named(people, ctl):
    old = people.add_message("c-1", "old", status="READ")["message_id"]
    new = people.add_message("c-1", "new " * 30)["message_id"]
    mine = people.add_message("c-1", "mine", outgoing=True, status="SENT")["message_id"]
    people.add_message("c-2", "elsewhere")
    assert answers(ctl, "read", "Bob", "") == [new]
    assert answers(ctl, "messages", "Bob", "--before=") == [f"--before={i}" for i in (mine, new, old)]
    assert answers(ctl, "messages", "@bob", "--after", "") == [mine, new, old]
    assert described(ctl, "read", "Bob", "")[0][1].endswith(" new new ne…")
    assert answers(ctl, "messages", "--before=") == []
    for nobody in ("nobody at all", "@nobody", ""):
        assert answers(ctl, "read", nobody, "") == []


def test_photos_newest_first(people, ctl):
    for i, chat in enumerate(["c-1", "c-2", "c-1"]):
        message = people.add_message(chat, "look", created_at=1_700_000_000_000 + i)
        people.add_attachment(message["message_id"], f"a-{i}", b"x", name=f"cat {i}\n.jpg")
    people.add_message("c-2", "newest", created_at=1_700_000_009_000)
    for verb in ("get", "show"):
        assert answers(ctl, "photo", verb, "") == ["a-1", "a-2", "a-0"]
    assert described(ctl, "photo", "get", "a-2")[0][1] == "2023-11-14 Bob Martin cat 2 .jpg"
    assert answers(ctl, "photo", "get", "a-1", "") == []


def test_consumers(fake, ctl):
    fake.consumers.update(bot=1, log=2)
    assert answers(ctl, "watch", "--consumer=") == ["--consumer=bot", "--consumer=log"]


def test_no_daemon_is_no_complaint(tmp_path):
    ctl = Chatctl(tmp_path)
    for words in (("send", ""), ("call", ""), ("search", "--chat="), ("--account=no", "send", ""),
                  ("settings", ""), ("settings", "x", ""), ("retry", ""), ("read", "Bob", ""),
                  ("photo", "get", ""), ("watch", "--consumer=")):
        result = ctl("__complete", *words)
        assert (result.code, result.out, result.err) == (0, "", "")
    assert ctl("__complete").code == 0


def test_a_daemon_that_hangs_is_not_waited_for_long(people, ctl):
    from fake_chatd import NoReply

    def hang(connection, request):
        raise NoReply
    people.on("chats.list", hang)
    assert answers(ctl, "send", "") == []


@pytest.mark.parametrize("shell, name", [
    ("bash", "chatctl.bash"), ("zsh", "_chatctl"), ("fish", "chatctl.fish")])
def test_the_scripts_can_be_printed(tmp_path, shell, name):
    assert Chatctl(tmp_path)("completion", shell).out == (SCRIPTS / name).read_text()
    assert Chatctl(tmp_path)("completion", "csh").code == 2


class Shell:
    """A shell with a chatctl that completes as the real one, and else writes what it was given."""

    def __init__(self, directory, ctl, fake, dump):
        self.directory, self.dump = pathlib.Path(directory), dump
        self.given = self.directory / "given"
        (self.directory / "bin").mkdir()
        (self.directory / "here is a file").touch()
        script = self.directory / "bin" / "chatctl"
        script.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = __complete ]; then\n'
            f"\tshift; exec {shlex.quote(bare_program('chatctl'))} __complete"
            f' --socket={shlex.quote(fake.path)} "$@"\nfi\n'
            f"printf '%s\\0' \"$@\" > {shlex.quote(str(self.given))}\n")
        script.chmod(0o755)
        (self.directory / "inputrc").write_text("set enable-bracketed-paste off\n")
        path = f"{self.directory / 'bin'}:{os.environ['PATH']}"
        self.environment = ctl.environment({
            "PATH": path, "HOME": str(self.directory), "TERM": "xterm", "ZDOTDIR": "/nonexistent",
            "INPUTRC": str(self.directory / "inputrc"), "HISTFILE": ""})

    def press_tab(self, command, prepare, line):
        """What chatctl is given when Tab was pressed at the end of the line."""
        terminal = Terminal(command, str(self.directory), self.environment, 200)
        terminal.type(prepare + "; printf '%s%s\\n' rea dy\n")
        terminal.read_until("ready")
        terminal.type(f"chatctl {line}\t end\nexit\n")
        terminal.finish()
        assert self.given.exists(), terminal.shown
        *words, end = self.given.read_text().split("\0")[:-1]
        assert end == "end", terminal.shown
        return words

    def bash(self, line):
        return self.press_tab([shutil.which("bash"), "--norc", "--noprofile", "-i"],
                              f"source {SCRIPTS}/chatctl.bash", line)

    def zsh(self, line):
        return self.press_tab(
            [shutil.which("zsh"), "-f", "-i"],
            f"fpath=({SCRIPTS} $fpath); autoload -Uz compinit; compinit -u -d {self.dump}",
            line)

    def fish(self, line):
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source {SCRIPTS}/chatctl.fish; complete -C $argv[1]",
             "chatctl " + line], capture_output=True, cwd=self.directory, env=self.environment,
            check=True, timeout=60)
        assert done.stderr == b""
        return [line.split("\t")[0] for line in done.stdout.decode().splitlines()]


@pytest.fixture
def shell(people, ctl, tmp_path, tmp_path_factory):
    # What zsh found out about all its functions is found out once.
    return Shell(tmp_path, ctl, people, tmp_path_factory.getbasetemp() / "zcompdump")


TYPED = [
    ("send Bo", ["send", "Bob Martin"]),
    (r"send Bob\ M", ["send", "Bob Martin"]),
    ('send "Bob M', ["send", "Bob Martin"]),
    ("send 'Bo", ["send", "Bob Martin"]),
    ("send Mi", ["send", MILES]),
    ("send 'Mi", ["send", MILES]),
    (r"""send Miles\ \"O\'Br""", ["send", MILES]),
    (r"""send Miles\ \"O\'Brien\"\ \$HOME\ \`x\`\ \\\ y:\ z=""", ["send", MILES]),
    ("send An", ["send", ANNA]),
    ("send @an", ["send", "@anna"]),
    ("send bob", ["send", "Bob Martin"]),
    ("search x --chat=An", ["search", "x", "--chat=" + ANNA]),
    ('search x --chat="Bob M', ["search", "x", "--chat=Bob Martin"]),
    ("search x --chat Bo", ["search", "x", "--chat", "Bob Martin"]),
    ("photo l", ["photo", "list"]),
    ("mess", ["messages"]),
    ("send x --wait=rec", ["send", "x", "--wait=received"]),
    ("send x --attach=he", ["send", "x", "--attach=here is a file"]),
    ("send x -a he", ["send", "x", "-a", "here is a file"]),
    ("settings ph", ["settings", "photos.quality"]),
    ("settings photos.quality or", ["settings", "photos.quality", "original"]),
    ("cancel id", ["cancel", "id:1=x"]),
    ("retry 'id", ["retry", "id:1=x"]),
    ("messages Bob --before=id", ["messages", "Bob", "--before=id:1=x"]),
]


@pytest.mark.parametrize("line, words", TYPED + [
    ('send Anna\\ "Mar', ["send", ANNA]), ('send "An"na', ["send", ANNA])])
def test_bash(shell, unsent, line, words):
    assert shell.bash(line) == words


@needs["zsh"]
@pytest.mark.parametrize("line, words", TYPED)
def test_zsh(shell, unsent, line, words):
    assert shell.zsh(line) == words


@needs["fish"]
@pytest.mark.parametrize("line, expected", [
    ("send Bo", ["Bob Martin"]), (r"send Bob\ M", ["Bob Martin"]), ('send "Bob M', ["Bob Martin"]),
    ("send bob", ["Bob Martin"]), ("send @an", ["@anna"]), ("photo l", ["list"]),
    ("send Mi", [MILES]), ("search x --chat=An", ["--chat=" + ANNA]), ("photo ", ["get", "list", "show"]),
    ("send 'Bob Martin' --wait=rec", ["--wait=received"]),
    ("settings photos.quality or", ["original"]), ("cancel id", ["id:1=x"]),
    ("send x --attach=her", ["--attach=here is a file"]), ("send x -a her", ["here is a file"])])
def test_fish(shell, unsent, line, expected):
    assert shell.fish(line) == expected


def test_bash_stays_silent_without_a_daemon(shell, people):
    people.stop()
    assert shell.bash("send Bo") == ["send", "Bo"]
    people.start()
