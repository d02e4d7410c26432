# SPDX-License-Identifier: GPL-3.0-or-later
"""A bus that is not there, goes away and comes back, or has another program of our name."""

import configparser
import contextlib
import os
import pathlib
import shutil
import subprocess

import pytest

import rpc
from bus import NAME, PATH, Bus, BusError, environment
from people import People, until
from rpc import Daemon

WORLD = {
    "user": {"id": "me", "name": "Me"},
    "users": [{"id": "ana", "name": "Ana"}],
    "chats": [{"id": "c1", "user_id": "ana", "messages": [
        {"id": "a1", "from": "ana", "text": "1", "minutes_ago": 9}]}],
    "behaviour": {"ack_ms": 1, "received_ms": 1, "read_ms": 2},
}


class Logged(Daemon):
    """Its log goes to a file."""

    def start(self):
        environment_now = {**os.environ, "HOME": str(self.directory),
                           "DBUS_SESSION_BUS_ADDRESS": self.bus, "DBUS_SYSTEM_BUS_ADDRESS": ""}
        with open(self.log_file, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.command(), env=environment_now, stderr=log)
        return self

    @property
    def log_file(self):
        return self.directory / "log"

    @property
    def log(self):
        return self.log_file.read_text(encoding="utf-8")


def daemon_on(bus, directory, **options):
    pathlib.Path(directory).mkdir(exist_ok=True)
    daemon = Logged(directory, WORLD, **options)
    daemon.bus = bus if isinstance(bus, str) else bus.address
    return daemon


def send(daemon, id):
    with daemon.connect() as socket:
        return socket.call("messages.send", chat_id="c1", text="x", message_id=id)


def test_without_a_bus_the_socket_serves(tmp_path):
    with daemon_on("", tmp_path) as daemon:
        assert send(daemon, "m1")["message_id"] == "m1"
        assert "bus" not in daemon.log


@pytest.mark.parametrize("address", ["nonsense", "unix:path=", "autolaunch:", "unix:abstract=/x",
                                     "unixexec:path=/nowhere", "unix:path=/nowhere/at/all"])
def test_an_address_of_no_use_is_no_error(tmp_path, address):
    with daemon_on(address, tmp_path) as daemon:
        assert send(daemon, "m1")["message_id"] == "m1"


def test_the_bus_may_come_later(tmp_path):
    bus = Bus(tmp_path)
    with daemon_on(bus, tmp_path / "d") as daemon:
        send(daemon, "m1")
        with bus, bus.connect() as client:
            client.wait_name()
            assert client.call("messages.get", message_id="m1")["text"] == "x"


def links(directory):
    """Where its links lead; some may go meanwhile."""
    for link in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(link)


def test_the_directory_of_the_bus_is_watched(tmp_path):
    """From before the bus is there until it is; other files come and go."""
    bus = Bus(tmp_path)
    with daemon_on(bus, tmp_path / "d") as daemon:
        fds = pathlib.Path(f"/proc/{daemon.process.pid}/fd")
        until(lambda: any("inotify" in link for link in links(fds)))
        (tmp_path / "other").touch()
        with bus, bus.connect() as client:
            client.wait_name()
            until(lambda: daemon.log.count("On the bus") == 1)
            until(lambda: not any("inotify" in link for link in links(fds)))


def test_it_comes_back_when_the_bus_does(tmp_path):
    with Bus(tmp_path) as bus, daemon_on(bus, tmp_path / "d") as daemon:
        with bus.connect() as client:
            client.wait_name()
            client.call("events.subscribe", topics=["message.added"])
            send(daemon, "m0")
            last = client.next_change()["seq"]
        for n in range(1, 4):
            bus.stop()
            until(lambda n=n: daemon.log.count("The bus is lost") == n)
            send(daemon, f"m{n}")
            bus.start()
            with bus.connect() as client:
                client.wait_name()
                client.call("events.subscribe", topics=["message.added"], since=last)
                change = client.next_change()
                assert change["data"]["message_id"] == f"m{n}"
                last = change["seq"]
        assert daemon.process.poll() is None


def test_the_directory_of_the_bus_may_go_too(tmp_path):
    directory = tmp_path / "run"
    directory.mkdir()
    with daemon_on(f"unix:path={directory}/bus", tmp_path / "d") as daemon:
        bus = Bus(directory)
        with bus, bus.connect() as client:
            client.wait_name()
        until(lambda: "The bus is lost" in daemon.log)
        shutil.rmtree(directory)
        send(daemon, "m1")
        directory.mkdir()
        bus = Bus(directory)
        with bus, bus.connect() as client:
            client.wait_name()
            assert client.call("messages.get", message_id="m1")["text"] == "x"


def test_requests_under_way_survive_the_bus(tmp_path):
    with Bus(tmp_path) as bus, daemon_on(bus, tmp_path / "d") as daemon:
        with bus.connect() as client:
            client.wait_name()
            client.call("daemon.status")
            for n in range(20):
                client.start("messages.send", chat_id="c1", text="x", message_id=f"m{n}")
            client.call("messages.get", message_id="m19")
            for n in range(20, 40):
                client.start("messages.send", chat_id="c1", text="x", message_id=f"m{n}")
            bus.stop()
        until(lambda: "The bus is lost" in daemon.log)
        with daemon.connect() as socket:
            page = socket.call("messages.list", chat_id="c1", limit=200)
        mine = [m["message_id"] for m in page["messages"] if m["outgoing"]]
        assert mine == [f"m{n}" for n in range(len(mine))] and len(mine) >= 20


def test_the_bus_of_the_runtime_directory(tmp_path):
    """Without an address in the environment, as programs started by systemd have it."""
    runtime = tmp_path / "run time%"
    runtime.mkdir()
    daemon = daemon_on("", tmp_path / "d")
    bus = Bus(tmp_path)
    bus.path = runtime / "bus"
    bus.address = f"unix:path={tmp_path}/run%20time%25/bus"
    bus.config.write_text(bus.config.read_text().replace(
        f"unix:path={tmp_path}/bus", bus.address))
    with bus, environment(XDG_RUNTIME_DIR=str(runtime)), daemon_without_address(daemon), \
            bus.connect() as client:
        client.wait_name()
        assert client.call("daemon.status")["connection"]


class daemon_without_address:
    def __init__(self, daemon):
        self.daemon = daemon

    def __enter__(self):
        daemon = self.daemon
        environment_now = {k: v for k, v in os.environ.items() if k != "DBUS_SESSION_BUS_ADDRESS"}
        with open(daemon.log_file, "w", encoding="utf-8") as log:
            daemon.process = subprocess.Popen(daemon.command(), env=environment_now, stderr=log)
        return daemon.wait_ready()

    def __exit__(self, *rest):
        return self.daemon.__exit__(*rest)


def test_it_can_be_turned_off(tmp_path):
    config = tmp_path / "chatd.conf"
    config.write_text("[daemon]\ndbus = no\n")
    with Bus(tmp_path) as bus, bus.connect() as client:
        for n, arguments in enumerate((["--dbus=no"], ["--config", str(config)])):
            with daemon_on(bus, tmp_path / str(n), arguments=arguments) as daemon:
                send(daemon, "m1")
                assert not client.has_owner()
                names = client.driver("ListNames")[0]
                assert set(names) == {"org.freedesktop.DBus", client.name}
    config.write_text("[daemon]\ndbus = perhaps\n")
    done = subprocess.run([rpc.program(), "--config", str(config), "--demo"], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 78 and "dbus is either yes or no" in done.stderr


def test_other_accounts_have_names_of_their_own(tmp_path):
    with Bus(tmp_path) as bus, bus.connect() as client:
        work = daemon_on(bus, tmp_path / "w", arguments=["--account", "work"])
        second = daemon_on(bus, tmp_path / "s", arguments=["--account", "2nd-one"])
        with daemon_on(bus, tmp_path / "d"), work, second:
            accounts = {}
            for name in (NAME, f"{NAME}.work", f"{NAME}._2nd-one"):
                client.wait_name(name)
                status, = client.ask(f"{NAME}.Daemon", "Status", destination=name)
                accounts[name] = status["account"][1]["name"][1]
            assert list(accounts.values()) == ["default", "work", "2nd-one"]


def test_a_second_demo_leaves_the_name_alone(tmp_path):
    with Bus(tmp_path) as bus, bus.connect() as client:
        with daemon_on(bus, tmp_path / "1"):
            owner = client.wait_name()
            with daemon_on(bus, tmp_path / "2") as second:
                until(lambda: "Another program has the name" in second.log)
                assert send(second, "m1")["message_id"] == "m1"
                assert client.wait_name() == owner
        client.driver("GetId")
        assert not client.has_owner()


def test_the_name_goes_to_the_next_in_line(tmp_path):
    """Of two real daemons the second waits; a demo gives way at once."""
    with Bus(tmp_path) as bus, bus.connect() as client, People(tmp_path) as people:
        options = {"environment": {"DBUS_SESSION_BUS_ADDRESS": bus.address}}
        with daemon_on(bus, tmp_path / "demo"):
            demo = client.wait_name()
            first = people.account("alice", arguments=["--account", "default"], **options)
            until(lambda: client.wait_name() != demo)
            owner = client.wait_name()
            second = people.account("bob", arguments=["--account", "default"], **options)
            second.call("daemon.status")
            until(lambda: len(client.driver("ListQueuedOwners", "s", (NAME,))[0]) == 2)
            assert client.wait_name() == owner
            first.stop()
            until(lambda: client.has_owner() and client.wait_name() not in (owner, demo))
            status = client.call("daemon.status")
            assert not status["account"]["signed_in"]


def service_file():
    build = pathlib.Path(rpc.program()).parent
    return build / "systemd/org.chatd.Chat1.service"


def test_the_bus_starts_the_daemon(tmp_path):
    """As the installed file says, but for the program's path and its world."""
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read(service_file())
    service = parser["D-BUS Service"]
    assert service["Name"] == NAME
    assert service["SystemdService"] == "chatd.service"
    assert service["Exec"].endswith("/bin/chatd")
    daemon = Daemon(tmp_path, WORLD)
    services = tmp_path / "services"
    services.mkdir()
    (services / "org.chatd.Chat1.service").write_text(
        f"[D-BUS Service]\nName={NAME}\nExec={' '.join(daemon.command())}\n")
    with Bus(tmp_path, services=services) as bus, bus.connect() as client:
        assert not client.has_owner()
        assert client.call("daemon.status")["account"]["name"] == "default"
        pid, = client.driver("GetConnectionUnixProcessID", "s", (NAME,))
        os.kill(pid, 15)
        until(lambda: not client.has_owner())


def test_a_frozen_bus_stops_nobody(tmp_path):
    """The daemon neither waits for it nor ends late."""
    with Bus(tmp_path) as bus:
        with daemon_on(bus, tmp_path / "d") as daemon, bus.connect() as client:
            client.wait_name()
            client.call("events.subscribe", topics=["message.added"])
            bus.process.send_signal(19)
            try:
                for n in range(300):
                    send(daemon, f"m{n}")
            finally:
                bus.process.send_signal(18)
            for n in range(300):
                assert client.next_change()["data"]["message_id"] == f"m{n}"
            bus.process.send_signal(19)
            assert send(daemon, "last")["message_id"] == "last"
        bus.process.send_signal(18)


def test_the_object_stays_while_another_has_the_name(tmp_path):
    with Bus(tmp_path) as bus, bus.connect() as client:
        client.driver("RequestName", "su", (NAME, 4))
        with daemon_on(bus, tmp_path / "d") as daemon:
            until(lambda: "Another program has the name" in daemon.log)
            # One of the daemon's connections serves the API.
            names = client.driver("ListNames")[0]
            for name in [n for n in names if n.startswith(":") and n != client.name]:
                with contextlib.suppress(BusError):
                    status, = client.ask(f"{NAME}.Daemon", "Status", destination=name)
                    break
            assert status["account"][1]["name"] == ("s", "default")
            with pytest.raises(BusError, match="UnknownObject"):
                client.ask(f"{NAME}.Daemon", "Status", destination=name, path=PATH + "/x")
