# SPDX-License-Identifier: GPL-3.0-or-later
"""A push service on loopback, and a distributor that passes on to programs what comes there.

    with Bus(tmp_path) as bus, PushService() as service, Distributor(bus, service) as distributor:
        distributor.wait(lambda d: d.registered)
"""

import http.server
import queue
import threading

import jeepney

from desktop_peers import Peer

PATIENCE = 30


class PushService:
    """Takes POSTs, answers each with `status`, and hands it to `deliver` or else to `posts`."""

    def __init__(self):
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(service.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                service.take(self.path, self.headers, body)

            def log_message(self, *_):
                pass

        self.status = 201
        self.deliver = None
        self.posts = queue.Queue()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def take(self, path, headers, body):
        if self.deliver:
            self.deliver(path, body)
        else:
            self.posts.put((path, headers, body))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def next(self):
        return self.posts.get(timeout=PATIENCE)


class Distributor(Peer):
    """org.unifiedpush.Distributor.*, version 2 or 1 of it; `registered` is who, by token."""

    PATH = "/org/unifiedpush/Distributor"

    def __init__(self, bus, service, name="test", version=2, refusal=None):
        self.NAME = f"org.unifiedpush.Distributor.{name}"
        self.INTERFACE = f"org.unifiedpush.Distributor{version}"
        super().__init__(bus)
        self.service, self.version, self.refusal = service, version, refusal
        self.registered = {}
        self.unregistered = []
        self.delivered = []  # the bodies, as they came
        self.generation = 1
        service.deliver = self.on_post

    def endpoint(self, token):
        return self.service.url(f"/up/{self.generation}/{token}")

    def on_Register(self, *body):
        if (self.version == 2) != isinstance(body[0], dict):
            raise KeyError
        if self.version == 2:
            values = {name: value for name, (_, value) in body[0].items()}
            name, token = values["service"], values["token"]
        else:
            name, token, _ = body
        if self.refusal:
            return ("a{sv}", ({"success": ("s", "REGISTRATION_FAILED"),
                               "reason": ("s", self.refusal)},)) \
                if self.version == 2 else ("ss", ("REGISTRATION_FAILED", self.refusal))
        self.registered[token] = name
        self.tell_endpoint(token)
        if self.version == 2:
            return "a{sv}", ({"success": ("s", "REGISTRATION_SUCCEEDED")},)
        return "ss", ("REGISTRATION_SUCCEEDED", "")

    def on_Unregister(self, body):
        if (self.version == 2) != isinstance(body, dict):
            raise KeyError
        token = body["token"][1] if self.version == 2 else body
        self.registered.pop(token, None)
        self.unregistered.append(token)
        return ("a{sv}", ({},)) if self.version == 2 else (None, ())

    def connector(self, service, member, **values):
        """A call of the connector's, which nobody waits for."""
        address = jeepney.DBusAddress("/org/unifiedpush/Connector", bus_name=service,
                                      interface=f"org.unifiedpush.Connector{self.version}")
        if self.version == 2:
            signature, body = "a{sv}", (values,)
        else:
            signature = "".join(kind for kind, _ in values.values())
            body = tuple(value for _, value in values.values())
        message = jeepney.new_method_call(address, member, signature, body)
        message.header.flags |= jeepney.MessageFlag.no_reply_expected
        self.connection.send(message)

    def tell_endpoint(self, token):
        self.connector(self.registered[token], "NewEndpoint", token=("s", token),
                       endpoint=("s", self.endpoint(token)))

    def tell_unregistered(self, token):
        self.connector(self.registered.pop(token), "Unregistered", token=("s", token))

    def push(self, body, token=None):
        """As if `body` had been posted; `token` None: the one that there is."""
        (known, service), = self.registered.items()
        self.connector(service, "Message", token=("s", token or known), message=("ay", body),
                       id=("s", "id"))

    def on_post(self, path, body):
        token = path.rsplit("/", 1)[1]
        with self.changed:
            if path != f"/up/{self.generation}/{token}" or token not in self.registered:
                return
            self.delivered.append(body)
            self.connector(self.registered[token], "Message", token=("s", token),
                           message=("ay", body), id=("s", ""))
            self.changed.notify_all()

    def token(self):
        """The one that is registered, once there is just one."""
        return self.wait(lambda d: len(d.registered) == 1 and next(iter(d.registered)))
