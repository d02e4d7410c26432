# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts and stops the loopback backend, and speaks its protocol, for tests.

    with Backend(tmp_path, users={"alice": "secret"}) as backend:
        alice = backend.login("alice")
        session = alice.connect("phone")

The program is found through CHAT_BACKEND, or in the build directory that the tests run in.
"""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import select
import signal
import subprocess
import time
import uuid

import contract
from ws import Closed, WebSocket


def program():
    path = os.environ.get("CHAT_BACKEND")
    if path:
        return path
    for base in (os.environ.get("CHATD_BUILD"), os.getcwd(), pathlib.Path(__file__).parents[2]):
        if base and (candidate := pathlib.Path(base, "tests/backend/chat-backend")).exists():
            return str(candidate)
    raise FileNotFoundError("chat-backend was not found: set CHAT_BACKEND or CHATD_BUILD")


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Backend:
    def __init__(self, directory, users=None, control=True, port=0, **options):
        """`users` maps ids to passwords. Further options become arguments: token_ttl=5 is --token-ttl 5,
        cdn=True is --cdn."""
        self.directory = pathlib.Path(directory)
        self.users = dict(users or {"alice": "alice-pw", "bob": "bob-pw", "carol": "carol-pw"})
        self.users_file = self.directory / "users"
        self.data = self.directory / "backend-data"
        self.port, self.control_path, self.options = port, control, options
        self.process = None
        self.log = None  # a file for what it says; its caller's stderr if left out
        self.write_users()

    def write_users(self):
        self.users_file.write_text("".join(
            f"{id}:{password}:{id.capitalize()} Example\n" for id, password in self.users.items()))

    def start(self):
        """Starts the program and waits until it is ready. A restarted one gets the port that it had."""
        command = [program(), "--users", str(self.users_file), "--data", str(self.data), "--port", str(self.port)]
        if self.control_path:
            command.append("--control")
        for name, value in self.options.items():
            command.append("--" + name.replace("_", "-"))
            if value is not True:
                command.append(str(value))
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("ready http://127.0.0.1:"):
            self.kill()
            raise RuntimeError(f"the backend is not ready, it said {line!r}")
        self.port = int(line.strip().rsplit(":", 1)[1])
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        """Ends it in order; what it returns is 0 unless something was wrong, leaks included."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process.stdout.close()
        self.process = None
        return code

    def kill(self):
        """Ends it as a crash would."""
        self.process.kill()
        self.process.wait(30)
        self.process.stdout.close()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *rest):
        code = self.stop()
        if kind is None:
            assert code == 0, f"the backend ended with {code}"

    def request(self, method, path, body=None, headers=None, token=None):
        """One request on a connection of its own. A body that is no bytes goes as JSON."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            response = Response(answer.status, answer.headers, answer.read())
            contract.check_response(method, path, response.status, response.headers, response.body)
            return response
        finally:
            connection.close()

    def control(self, do, **order):
        answer = self.request("POST", "/_control", {"do": do, **order})
        assert answer.status == 200, answer
        return answer.json["affected"]

    def stats(self):
        return self.request("GET", "/_control/stats").json

    def wait_stats(self, condition, timeout=10):
        """Waits until the counters fulfil a condition."""
        deadline = time.monotonic() + timeout
        while not condition(stats := self.stats()):
            assert time.monotonic() < deadline, f"the counters never came there: {stats}"
            time.sleep(0.01)
        return stats

    def basic(self, user, password):
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}

    def login(self, user):
        answer = self.request("GET", "/login", headers=self.basic(user, self.users[user]))
        assert answer.status == 200, answer
        return Account(self, user, answer.json["token"])


class Account:
    """One user with a token."""

    def __init__(self, backend, user, token):
        self.backend, self.user, self.token = backend, user, token

    def request(self, method, path, body=None, headers=None):
        return self.backend.request(method, path, body, headers, self.token)

    def get(self, path, status=200, headers=None):
        answer = self.request("GET", path, headers=headers)
        assert answer.status == status, answer
        return answer.json

    def chat_with(self, peer):
        answer = self.request("POST", "/chats", {"user_id": peer})
        assert answer.status in (200, 201), answer
        return answer.json["id"]

    def connect(self, device_id="device", hello=True):
        session = Session(self)
        if hello:
            session.hello(device_id)
        return session

    def upload_variant(self, attachment_id, variant, data, mime="image/jpeg", checksum=None, **metadata):
        """Uploads one variant in one piece; its Location."""
        location = self.create_upload(attachment_id, variant, len(data), mime, **metadata)
        headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        if checksum:
            digest = base64.b64encode(hashlib.new(checksum, data).digest()).decode()
            headers["Upload-Checksum"] = f"{checksum} {digest}"
        answer = self.request("PATCH", location, data, headers)
        assert answer.status == 204, answer
        return location

    def create_upload(self, attachment_id, variant, length, mime="image/jpeg", **metadata):
        values = {"attachment_id": attachment_id, "variant": variant, "mime": mime, **metadata}
        encoded = ",".join(f"{k} {base64.b64encode(str(v).encode()).decode()}" for k, v in values.items())
        answer = self.request("POST", "/uploads", b"", {
            "Tus-Resumable": "1.0.0", "Upload-Length": str(length), "Upload-Metadata": encoded})
        assert answer.status == 201, answer
        return answer.headers["Location"]

    def upload(self, full=b"full bytes", preview=b"preview", attachment_id=None, **metadata):
        """Uploads both variants; the attachment's id."""
        attachment_id = attachment_id or str(uuid.uuid4())
        self.upload_variant(attachment_id, "full", full, width=640, height=480, **metadata)
        self.upload_variant(attachment_id, "preview", preview)
        return attachment_id


class Session:
    """A WebSocket session. Frames that nobody asked for yet are kept in order."""

    def __init__(self, account):
        self.account = account
        self.ws = WebSocket(account.backend.port, headers=[("Authorization", f"Bearer {account.token}")])
        self.connection_id = None
        self.kept = []

    def send(self, event_type, payload, **envelope):
        frame = {"connection_id": self.connection_id, "event_type": event_type, "payload": payload, **envelope}
        self.ws.send_frame(1, json.dumps(frame).encode())

    def receive(self, timeout=None):
        frame = json.loads(self.ws.receive(timeout))
        contract.check_frame("server", frame)
        return frame["event_type"], frame["payload"], frame["connection_id"]

    def hello(self, device_id):
        self.send("HELLO", {"device_id": device_id, "client": "tests"})
        event, payload, self.connection_id = self.receive()
        assert event == "HELLO", event
        self.greeting = payload

    def expect(self, event_type, condition=lambda payload: True, timeout=10):
        """The payload of the next frame of this type that fulfils the condition; others are kept."""
        for i, (event, payload) in enumerate(self.kept):
            if event == event_type and condition(payload):
                del self.kept[i]
                return payload
        while True:
            event, payload, connection_id = self.receive(timeout)
            assert connection_id == self.connection_id
            if event == event_type and condition(payload):
                return payload
            self.kept.append((event, payload))

    def send_message(self, chat_id, text, message_id=None, attachments="", **more):
        message_id = message_id or str(uuid.uuid4())
        self.send("MSG_OUT", {"message": {"id": message_id, "chat_id": chat_id, "user_id": self.account.user,
                                          "text": text, "status": "PENDING", "created_at": 1,
                                          "attachments": attachments, **more}, "attachments": []})
        return message_id

    def say(self, chat_id, text, **more):
        """Sends a message and waits for its answer."""
        message_id = self.send_message(chat_id, text, **more)
        return self.expect("MSG_ACK", lambda p: p["message_id"] == message_id)

    def nothing_more(self):
        """Asserts that no frame is on its way, by asking something whose answer comes after it."""
        self.ws.send_frame(9, b"mark")
        while True:
            opcode, payload = self.ws.receive_frame()
            if opcode == 10 and payload == b"mark":
                break
            assert opcode in (9, 10), payload
        assert not self.kept, self.kept

    def expect_end(self, reason=None, timeout=10):
        """Waits for the end; with `reason`, for a BYE of it before. Returns the BYE's payload, or None."""
        bye = None
        try:
            while True:
                event, payload, _ = self.receive(timeout)
                if event == "BYE":
                    bye = payload
        except Closed as closed:
            self.code = closed.code
        assert (bye or {}).get("reason") == reason, bye
        return bye

    def bye(self):
        self.send("BYE", {"reason": "done"})
        self.ws.close()
