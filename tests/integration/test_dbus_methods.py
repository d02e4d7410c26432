# SPDX-License-Identifier: GPL-3.0-or-later
"""The API on the bus: each method answers as it does on the socket, with the types of D-Bus."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import jeepney
import pytest

import rpc
from api_contract import Contract
from bus import NAME, PATH, Bus, BusError, camel, dbus_name
from people import until
from rpc import Daemon, RpcError

PHOTO = pathlib.Path(__file__).parents[1] / "data/photo.jpg"
DOC = "org.gtk.GDBus.DocString"

WORLD = {
    "user": {"id": "me", "name": "Me"},
    "users": [{"id": "ana", "name": "Ana"}, {"id": "bo", "name": "Bo"}],
    "chats": [
        {"id": "c1", "user_id": "ana", "unread": 2, "messages": [
            {"id": f"a{n}", "from": "ana" if n % 3 else "me", "text": f"message {n} ☃",
             "minutes_ago": 500 - n} for n in range(1, 31)]},
        {"id": "c2", "user_id": "bo", "messages": [
            {"id": "b1", "from": "bo", "text": "look", "minutes_ago": 2,
             "attachments": [{"id": "p1", "name": "p.jpg", "generate": 700000,
                              "preview_generate": 5000}]}]},
    ],
    "behaviour": {"ack_ms": 1, "received_ms": 2, "read_ms": 3},
}


@pytest.fixture(scope="module")
def contract():
    return Contract.printed()


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    with Bus(tmp_path_factory.mktemp("bus")) as bus:
        yield bus


@pytest.fixture(scope="module")
def daemon(bus, tmp_path_factory):
    helper = pathlib.Path(rpc.program()).with_name("chatd-preview")
    daemon = Daemon(tmp_path_factory.mktemp("daemon"), WORLD,
                    arguments=["--preview-helper", str(helper)])
    daemon.bus = bus.address
    with daemon, bus.connect() as client:
        client.wait_name()
        yield daemon


@pytest.fixture
def client(bus, daemon):
    with bus.connect() as client:
        yield client


def fails(client, kind, method, **values):
    with pytest.raises(BusError) as error:
        client.call(method, **values)
    assert error.value.name == f"{NAME}.Error.{camel(kind)}", error.value
    assert error.value.data["kind"] == kind and error.value.detail
    return error.value


def restored(contract, value, schema):
    """An answer with the nulls that D-Bus has no room for."""
    if "$ref" in schema:
        schema = contract.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "oneOf" in schema:
        schema = schema["oneOf"][0]
    if isinstance(value, list):
        return [restored(contract, item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    result = {name: restored(contract, item, properties.get(name, {}))
              for name, item in value.items()}
    for name, member in properties.items():
        if {"type": "null"} in member.get("oneOf", []):
            result.setdefault(name, None)
    return result


def as_json(contract, client, method, **values):
    result = contract.methods[method]["result"]["schema"]
    answer = restored(contract, client.call(method, **values), result)
    contract.check(method, {"jsonrpc": "2.0", "id": 1, "result": answer})
    return answer


@pytest.mark.parametrize("method, values", [
    ("chats.list", {}),
    ("chats.list", {"limit": 1}),
    ("chats.get", {"chat_id": "c2"}),
    ("messages.list", {"chat_id": "c1", "limit": 5}),
    ("messages.get", {"message_id": "b1"}),
    ("users.get", {"user_id": "ana"}),
    ("attachments.get", {"attachment_id": "p1"}),
])
def test_answers_are_the_socket_s(daemon, client, contract, method, values):
    with daemon.connect() as socket:
        assert as_json(contract, client, method, **values) == socket.call(method, **values)


def test_status(client, contract):
    status = as_json(contract, client, "daemon.status")
    assert status["connection"]["state"] == "LIVE" and status["account"]["user_id"] == "me"


def test_discover_is_what_the_program_prints(client, contract):
    assert client.call("rpc.discover") == contract.document


def test_every_method_is_reachable(client, contract):
    """Each finds its handler: what it refuses, it refuses as a method."""
    for method, description in contract.methods.items():
        waits = any(p["name"] == "timeout_ms" for p in description["params"])
        try:
            client.call(method, **({"timeout_ms": 0} if waits else {}))
        except BusError as error:
            assert error.name.startswith(f"{NAME}.Error."), f"{method}: {error}"


def test_errors_are_the_socket_s(daemon, client, contract):
    """Everything, with a parameter that nobody knows, and with ids of nothing."""
    with daemon.connect() as socket:
        for method in contract.methods:
            with pytest.raises(RpcError) as expected:
                socket.call(method, nonsense=True)
            error = fails(client, "invalid_params", method, nonsense=True)
            assert {**error.data, "detail": error.detail} == expected.value.data
    fails(client, "not_found", "chats.get", chat_id="nowhere")
    fails(client, "not_found", "messages.get", message_id="nothing")
    fails(client, "conflict", "account.login", server="https://other.invalid", user_id="x",
          password="secret")


def test_names_that_are_none(client):
    for interface, member in ((f"{NAME}.Messages", "Sned"), (f"{NAME}.Messages", "send"),
                              (f"{NAME}.Nothing", "Send"), (NAME, "Send"), (NAME, "Change")):
        with pytest.raises(BusError) as error:
            client.ask(interface, member, "a{sv}", ({},))
        assert error.value.name == "org.freedesktop.DBus.Error.UnknownMethod"
    with pytest.raises(BusError, match="did you mean"):
        client.ask(f"{NAME}.Messages", "Sned")
    with pytest.raises(BusError, match="UnknownInterface"):
        client.ask("org.example.Other", "Send")
    with pytest.raises(BusError, match="UnknownObject"):
        client.ask(f"{NAME}.Messages", "Send", path="/org/chatd")
    with pytest.raises(BusError, match="UnknownMethod"):
        client.ask(None, "Send")


def test_parameters_are_one_dictionary(client):
    status = client.ask(f"{NAME}.Daemon", "Status")
    assert status[0].keys() == client.ask(f"{NAME}.Daemon", "Status", "a{sv}", ({},))[0].keys()
    for signature, body in (("s", ("x",)), ("a{ss}", ({},)), ("a{sv}s", ({}, "x")),
                            ("sa{sv}", ("x", {})), ("v", (("a{sv}", {}),))):
        with pytest.raises(BusError) as error:
            client.ask(f"{NAME}.Daemon", "Status", signature, body)
        assert error.value.name == f"{NAME}.Error.InvalidParams", signature


def test_integers_of_any_size_do(client):
    for kind in "ynqiuxt":
        answer = client.ask(f"{NAME}.Chats", "List", "a{sv}", ({"limit": (kind, 1)},))
        assert len(answer[0]["chats"][1]) == 1
    for wrong in (("d", 1.5), ("s", "1"), ("t", 2**60), ("ai", [1])):
        with pytest.raises(BusError, match="InvalidParams"):
            client.ask(f"{NAME}.Chats", "List", "a{sv}", ({"limit": wrong},))


def test_lists_have_one_type_full_or_empty(client):
    answer = client.ask(f"{NAME}.Messages", "List", "a{sv}", ({"chat_id": ("s", "c2")},))[0]
    kind, messages = answer["messages"]
    assert kind == "aa{sv}" and messages[-1]["attachments"][0] == "aa{sv}"
    answer = client.ask(f"{NAME}.Messages", "List", "a{sv}", ({"chat_id": ("s", "c1")},))[0]
    assert answer["messages"][1][0]["attachments"] == ("aa{sv}", [])


def test_messages_of_a_client_keep_their_order(client):
    calls = [client.start("messages.send", chat_id="c1", text=f"order {n}") for n in range(40)]
    for call in calls:
        client.finish(call)
    page = client.call("messages.list", chat_id="c1", limit=40)
    assert [m["text"] for m in page["messages"]] == [f"order {n}" for n in range(40)]


def test_a_flood_is_told_busy(client):
    """The first of all waits for the bus' word whose it is; those beyond 64 do not wait with it."""
    calls = [client.start("daemon.status") for _ in range(200)]
    answers = []
    for call in calls:
        try:
            answers.append(client.finish(call)["connection"]["state"])
        except BusError as error:
            assert error.name == f"{NAME}.Error.Busy" and error.data["retryable"]
            answers.append("busy")
    assert answers.count("LIVE") >= 64
    assert client.call("daemon.status")["connection"]["state"] == "LIVE"


def test_a_call_without_reply_is_carried_out(client):
    interface, member = dbus_name("messages.send")
    message = jeepney.new_method_call(
        jeepney.DBusAddress(PATH, bus_name=NAME, interface=interface), member, "a{sv}",
        ({"chat_id": ("s", "c1"), "text": ("s", "quiet"), "message_id": ("s", "quiet-1")},))
    message.header.flags |= jeepney.MessageFlag.no_reply_expected
    serial = client.send(message)
    assert client.call("messages.send", chat_id="c1", text="after")["text"] == "after"
    assert client.call("messages.get", message_id="quiet-1")["text"] == "quiet"
    assert serial not in client.replies


def test_a_photo_comes_as_a_descriptor(client):
    client.call("events.subscribe", topics=["attachment.updated"])
    client.call("attachments.download", attachment_id="p1")
    while client.call("attachments.get", attachment_id="p1")["status"] != "READY":
        client.next_change()
    opened = client.call("attachments.open", attachment_id="p1")
    assert opened["size"] == 700000
    with opened["fd"].to_file("rb") as file:
        data = os.pread(file.fileno(), 1 << 20, 0)
        with pytest.raises(OSError):
            os.pwrite(file.fileno(), b"x", 0)
    assert len(data) == 700000
    fails(client, "not_found", "attachments.open", attachment_id="nothing")


def test_descriptors_that_are_not_taken_are_few(bus, daemon, client):
    test_a_photo_comes_as_a_descriptor(client)
    with bus.connect(answers=False) as stuck:
        for _ in range(16):
            assert stuck.call("attachments.open", attachment_id="p1", variant="full")["size"]
        fails(stuck, "busy", "attachments.open", attachment_id="p1")
        assert stuck.call("attachments.get", attachment_id="p1")["status"] == "READY"
        assert client.call("attachments.open", attachment_id="p1")["size"]
        assert len(stuck.pings) == 1
        stuck.answers = True
        stuck.pong()
        until(lambda: len(stuck.pings) == 0 and opens(stuck))


def opens(client):
    try:
        return client.call("attachments.open", attachment_id="p1")
    except BusError:
        return None


def test_a_photo_goes_as_a_descriptor(client):
    with PHOTO.open("rb") as photo:
        sent = client.call("messages.send", chat_id="c1", text="look",
                           attachments=[{"fd": photo, "name": "cat.jpg"}])
    attachment, = sent["attachments"]
    assert attachment["name"] == "cat.jpg" and attachment["width"] > 0
    fails(client, "invalid_params", "messages.send", chat_id="c1", attachments=[{"fd": 3}])


def test_descriptors_are_limited(daemon, client):
    """Too many of them, and some where none is asked for: none is left open."""
    fds = pathlib.Path(f"/proc/{daemon.process.pid}/fd")
    client.call("daemon.status")
    before = len(list(fds.iterdir()))
    with PHOTO.open("rb") as photo:
        fails(client, "invalid_params", "chats.list", limit=photo, cursor=photo)
        error = fails(client, "too_large", "messages.send", chat_id="c1",
                      attachments=[{"fd": photo} for _ in range(17)])
        assert "16" in error.detail
    until(lambda: len(list(fds.iterdir())) == before)


# What the object says of itself.

@pytest.fixture
def interfaces(client):
    text, = client.ask("org.freedesktop.DBus.Introspectable", "Introspect")
    root = ElementTree.fromstring(text)
    assert root.tag == "node"
    return {i.get("name"): i for i in root.findall("interface")}


def doc(element, name=DOC):
    return element.find(f"annotation[@name='{name}']").get("value")


def test_every_method_is_described(interfaces, contract):
    described = {(i, m.get("name")) for i, e in interfaces.items() if i.startswith(NAME)
                 for m in e.findall("method")}
    assert described == {dbus_name(method) for method in contract.methods}


def test_methods_read_as_documentation(interfaces, contract):
    for name, method in contract.methods.items():
        interface, member = dbus_name(name)
        element = interfaces[interface].find(f"method[@name='{member}']")
        parameters, result = element.findall("arg")
        assert (parameters.get("direction"), parameters.get("type")) == ("in", "a{sv}")
        assert (result.get("direction"), result.get("type")) == ("out", "a{sv}")
        assert method["summary"] in doc(element)
        assert method.get("description", "") in doc(element)
        for error in method["errors"]:
            assert camel(error["$ref"].rsplit("/", 1)[1]) in doc(element)
        lines = doc(parameters).split("\n")[1:]
        for parameter in method["params"]:
            line, = [l for l in lines if re.match(rf"{parameter['name']} \(", l)]
            assert line.endswith(parameter["description"])
            assert (", required" in line) == parameter["required"]
            for value in parameter["schema"].get("enum", []):
                assert value in line
            for inner in parameter["schema"].get("items", {}).get("properties", {}):
                assert any(l.startswith(f"{parameter['name']}[].{inner} (") for l in lines)
        schema = method["result"]["schema"]
        if "$ref" in schema:
            schema = contract.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        for member_name, of_result in schema["properties"].items():
            line, = [l for l in doc(result).split("\n") if l.startswith(f"{member_name} (")]
            assert of_result["description"] in line


def test_types_topics_and_properties_are_described(interfaces, contract):
    main = interfaces[NAME]
    for name, schema in contract.document["components"]["schemas"].items():
        text = doc(main, f"{NAME}.Type.{name}")
        assert schema["description"] in text
        assert all(f"\n{member} (" in text for member in schema["properties"])
    signal = main.find("signal[@name='Change']")
    assert [a.get("type") for a in signal.findall("arg")] == ["t", "s", "a{sv}"]
    topics = doc(signal.findall("arg")[1])
    for topic in contract.topics.values():
        assert f"\n{topic['topic']} (" in topics and topic["description"] in topics
    assert {p.get("name"): p.get("type") for p in main.findall("property")} == {
        "ConnectionState": "s", "UnreadCount": "t"}


def test_busctl_shows_it(bus, daemon, contract):
    shown = bus.run("busctl", "--user", "introspect", NAME, PATH)
    for method in contract.methods:
        interface, member = dbus_name(method)
        assert re.search(rf"^{re.escape(interface)} +interface ", shown, re.M)
        assert re.search(rf"^\.{member} +method +a\{{sv\}} +a\{{sv\}}", shown, re.M)
    assert re.search(r'^\.ConnectionState +property +s +"LIVE" +emits-change', shown, re.M)
    assert re.search(r"^\.Change +signal +tsa\{sv\}", shown, re.M)
    assert PATH in bus.run("busctl", "--user", "tree", "--list", NAME)


def test_other_libraries_can_call_it(bus, daemon):
    shown = bus.run("busctl", "--user", "--json=short", "call", NAME, PATH, f"{NAME}.Chats", "Get",
                    "a{sv}", "1", "chat_id", "s", "c2")
    assert json.loads(shown)["data"][0]["username"]["data"] == "Bo"
    shown = bus.run("dbus-send", "--session", f"--dest={NAME}", "--print-reply", PATH,
                    f"{NAME}.Daemon.Status")
    assert '"LIVE"' in shown


# Properties.

PROPERTIES = "org.freedesktop.DBus.Properties"


def test_properties_are_read(client):
    unread = client.call("daemon.status")["unread"]
    assert client.ask(PROPERTIES, "Get", "ss", (NAME, "ConnectionState")) == (("s", "LIVE"),)
    assert client.ask(PROPERTIES, "Get", "ss", (NAME, "UnreadCount")) == (("t", unread),)
    everything, = client.ask(PROPERTIES, "GetAll", "s", (NAME,))
    assert everything == {"ConnectionState": ("s", "LIVE"), "UnreadCount": ("t", unread)}
    assert client.ask(PROPERTIES, "GetAll", "s", (f"{NAME}.Messages",)) == ({},)


def test_properties_that_are_none(client):
    for interface, name in ((NAME, "Nothing"), ("org.example", "UnreadCount")):
        with pytest.raises(BusError, match="UnknownProperty"):
            client.ask(PROPERTIES, "Get", "ss", (interface, name))
    with pytest.raises(BusError, match="PropertyReadOnly"):
        client.ask(PROPERTIES, "Set", "ssv", (NAME, "UnreadCount", ("t", 0)))
    with pytest.raises(BusError, match="UnknownMethod"):
        client.ask(PROPERTIES, "Get", "s", (NAME,))


def test_properties_tell_when_they_change(client):
    client.match(type="signal", interface=PROPERTIES, path=PATH)
    unread = client.call("chats.get", chat_id="c1")["unread_count"]
    total = client.call("daemon.status")["unread"]
    assert unread > 0
    last = client.call("messages.list", chat_id="c1")["messages"][-1]["message_id"]
    client.call("messages.mark_read", chat_id="c1", message_id=last)
    body = client.next_signal(lambda _, member, body: member == "PropertiesChanged" and
                              "UnreadCount" in body[1])
    assert body == (NAME, {"UnreadCount": ("t", total - unread)}, [])


# Whose it is.

STRANGER = """
import os, sys
sys.path[:0] = sys.argv[2:]
os.setuid(65534)
import bus
with bus.Client(sys.argv[1]) as client:
    for ask in (lambda: client.call("daemon.status"),
                lambda: client.ask("org.freedesktop.DBus.Properties", "GetAll", "s", (bus.NAME,))):
        try:
            ask()
        except bus.BusError as error:
            print(error.name)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_refused(daemon):
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        with Bus(directory) as bus:
            daemon = Daemon(directory, WORLD)
            daemon.bus = bus.address
            with daemon, bus.connect() as client:
                client.wait_name()
                os.chmod(bus.path, 0o777)
                done = subprocess.run(
                    [sys.executable, "-c", STRANGER, bus.address, os.path.dirname(__file__)],
                    capture_output=True, text=True, timeout=60, check=True,
                    env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
                assert done.stdout.split() == [f"{NAME}.Error.Denied"] * 2
                assert client.call("daemon.status")["connection"]["state"] == "LIVE"
