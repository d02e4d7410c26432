# SPDX-License-Identifier: GPL-3.0-or-later
"""A small stand-in for the daemon: its socket and a few chats in memory, and, when a test asks for
it, the ways in which a daemon can misbehave. Standard library only."""

import array
import json
import os
import re
import socket
import threading
import time

CODES = {
    "not_found": 1, "invalid": 2, "locked": 3, "login_required": 4, "offline": 5, "denied": 6,
    "too_large": 7, "conflict": 8, "busy": 9, "storage_full": 10, "storage_error": 11,
    "unsupported": 12,
}
RETRYABLE = {"offline", "busy", "storage_full", "storage_error"}
EPHEMERAL = {"connection", "transfer.progress"}
WAIT_S = 30


class RpcError(Exception):
    def __init__(self, kind, detail="", code=None, retry_after_ms=None):
        super().__init__(kind)
        self.body = {"code": code if code is not None else CODES[kind], "message": kind,
                     "data": {"kind": kind, "retryable": kind in RETRYABLE, "detail": detail}}
        if retry_after_ms is not None:
            self.body["data"]["retry_after_ms"] = retry_after_ms


class NoReply(Exception):
    """A hook has seen to the answer, or wants none."""


class Connection:
    def __init__(self, daemon, sock):
        self.daemon = daemon
        self.sock = sock
        self.position = None  # the last change told; None: not subscribed
        self.closed = False
        self.topics = None
        self.chats = None

    def send_raw(self, data, fds=()):
        ancillary = []
        if fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        try:
            sent = self.sock.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)
            self.sock.sendall(data[sent:], socket.MSG_NOSIGNAL)
        except OSError:
            pass

    def send(self, message, fds=()):
        message = {"jsonrpc": "2.0", **message}
        self.send_raw(json.dumps(message, ensure_ascii=False).encode() + b"\n", fds)

    def close(self):
        with self.daemon.lock:
            self.closed = True
            self.daemon.changed.notify_all()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def wants(self, topic, data):
        if self.position is None or (self.topics is not None and topic not in self.topics):
            return False
        return self.chats is None or data.get("chat_id") in self.chats

    def serve(self):
        buffer, fds = b"", []
        while True:
            try:
                data, ancillary, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(16 * 4))
            except OSError:
                break
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    numbers = array.array("i")
                    numbers.frombytes(payload[:len(payload) - len(payload) % numbers.itemsize])
                    fds.extend(numbers)
            if not data:
                break
            buffer += data
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                self.daemon.handle(self, json.loads(line), fds)
        for fd in fds:
            os.close(fd)


class FakeChatd:
    def __init__(self, path):
        self.path = str(path)
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.greeting = {"api": "1.0", "daemon": "0.1.0", "instance_id": "i-1",
                         "account": "default", "scope": "full", "limits": {"line": 1048576}}
        self.connections = []
        self.accepted = 0
        self.requests = []     # (method, params), in order
        self.received = {}     # message id -> contents of its attachments
        self.hooks = {}        # method -> list of functions, each used once
        self.listener = None
        self.seq = 100
        self.log = []          # (seq, topic, data)
        self.consumers = {}    # name -> what it has acknowledged
        self.chats = {}
        self.messages = {}
        self.attachments = {}
        self.bytes = {}        # (attachment id, variant) -> bytes
        self.page_max = 200
        self.state = {"state": "LIVE", "since": now() - 3600_000, "next_attempt_at": None,
                      "last_error": None}
        self.account = {"name": "default", "server": "http://127.0.0.1:8080", "user_id": "alice",
                        "user_name": "Alice Adams", "signed_in": True}
        self.settings = [
            {"name": "photos.quality", "value": "good", "default": "best", "type": "choice",
             "values": ["best", "good", "original"], "doc": "How small photos are made."},
            {"name": "connection.grace_s", "value": "5", "default": "60", "type": "integer",
             "minimum": 0, "maximum": 86400, "doc": "How long the session stays."}]
        self.auto_status = []  # statuses that a sent message goes through by itself

    # Life

    def start(self):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.path)
        listener.listen(16)
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            connection = Connection(self, sock)
            with self.lock:
                self.connections.append(connection)
                self.accepted += 1
                self.changed.notify_all()
                hook = self._hook("hello")
            threading.Thread(target=self._serve, args=(connection, hook), daemon=True).start()

    def _serve(self, connection, hook):
        if hook:
            hook(connection, None)
        else:
            connection.send({"method": "hello", "params": self.greeting})
        connection.serve()
        with self.lock:
            self.connections.remove(connection)
            self.changed.notify_all()
        connection.sock.close()

    def drop(self):
        """Closes every connection; the listener stays."""
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            connection.close()
        self.wait_for(lambda: not set(connections) & set(self.connections))

    def stop(self):
        if self.listener:
            try:
                self.listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.listener.close()
            os.unlink(self.path)
            self.listener = None
        self.drop()

    # For tests

    def on(self, method, *hooks):
        """The next requests of that method are answered by the hooks, one each: hook(connection,
        request) returns a result, raises RpcError or raises NoReply. "hello" stands for greeting."""
        with self.lock:
            self.hooks.setdefault(method, []).extend(hooks)

    def _hook(self, method):
        hooks = self.hooks.get(method)
        return hooks.pop(0) if hooks else None

    def wait_for(self, predicate):
        with self.changed:
            if not self.changed.wait_for(predicate, WAIT_S):
                raise AssertionError("this did not happen in time")

    def wait_request(self, method, times=1):
        self.wait_for(lambda: sum(m == method for m, _ in self.requests) >= times)

    def params(self, method):
        with self.lock:
            return [p for m, p in self.requests if m == method]

    # The model

    def change(self, topic, data):
        with self.lock:
            seq = None
            if topic not in EPHEMERAL:
                self.seq += 1
                seq = self.seq
                self.log.append((seq, topic, data))
                self.changed.notify_all()
            for connection in self.connections:
                self._tell(connection, seq, topic, data)
            return seq

    @staticmethod
    def _tell(connection, seq, topic, data):
        if not connection.wants(topic, data):
            return
        params = {"topic": topic, "data": data}
        if seq is not None:
            params["seq"] = seq
            connection.position = seq
        connection.send({"method": "change", "params": params})

    def add_chat(self, chat_id, user_id, username, **extra):
        self.chats[chat_id] = {
            "chat_id": chat_id, "user_id": user_id, "username": username, "last_username": None,
            "last_user_profile_url": None, "last_message_text": None,
            "last_message_timestamp": None, "last_message_status": None, "unread_count": 0,
            **extra}
        return self.chats[chat_id]

    def add_message(self, chat_id, text, outgoing=False, status=None, **extra):
        with self.lock:
            chat = self.chats[chat_id]
            message = {
                "message_id": f"m-{len(self.messages) + 1}", "chat_id": chat_id,
                "user_id": "alice" if outgoing else chat["user_id"], "text": text,
                "status": status or ("PENDING" if outgoing else "RECEIVED"), "error": None,
                "created_at": now(), "attachments": [], "outgoing": outgoing, **extra}
            self.messages[message["message_id"]] = message
            chat["last_message_text"] = text
            chat["last_message_timestamp"] = message["created_at"]
            chat["last_message_status"] = message["status"]
            chat["last_username"] = "Alice Adams" if outgoing else chat["username"]
            if not outgoing and message["status"] == "RECEIVED":
                chat["unread_count"] += 1
            message["seq"] = self.change("message.added", dict(message))
            return message

    def add_attachment(self, message_id, attachment_id, data, preview=b"", **extra):
        attachment = {
            "attachment_id": attachment_id, "mime": "image/jpeg", "name": "cat.jpg",
            "width": 640, "height": 480, "size": len(data), "progress": len(data),
            "status": "READY", "preview_ready": bool(preview), **extra}
        self.attachments[attachment_id] = (message_id, attachment)
        self.messages[message_id]["attachments"].append(attachment)
        self.bytes[attachment_id, "full"] = data
        self.bytes[attachment_id, "preview"] = preview
        return attachment

    def full_attachment(self, attachment_id):
        message_id, attachment = self.attachments[attachment_id]
        return {**attachment, "message_id": message_id,
                "chat_id": self.messages[message_id]["chat_id"]}

    def set_status(self, message_id, status, error=None):
        with self.lock:
            message = self.messages[message_id]
            message["status"] = status
            message["error"] = error
            self.change("message.updated", dict(message))

    # Requests

    def handle(self, connection, request, fds):
        method, params = request["method"], request.get("params", {})
        with self.lock:
            self.requests.append((method, params))
            self.changed.notify_all()
            hook = self._hook(method)
        reply = {"id": request["id"]}
        out, after = (), None
        try:
            if hook:
                result = hook(connection, request)
            else:
                function = getattr(self, "do_" + method.replace(".", "_"), None)
                if not function:
                    raise RpcError("invalid", f"no method {method}", code=-32601)
                with self.lock:
                    result = function(connection, params, fds)
            if isinstance(result, tuple):
                result, out, after = result
            reply["result"] = result
        except RpcError as error:
            reply["error"] = error.body
        except NoReply:
            return
        with self.lock:
            connection.send(reply, out)
            for fd in out:
                os.close(fd)
            if after:
                after()

    def do_daemon_status(self, connection, params, fds):
        return {
            "account": self.account, "connection": self.state,
            "unread": sum(c["unread_count"] for c in self.chats.values()),
            "outbox": {"pending": 2, "failed": 1}, "transfers": {"active": 1, "waiting": 0},
            "push": {"state": "ready", "distributor": "org.example.Ntfy"},
            "storage": {"state": "ok", "bytes": 1234567}, "key_source": "file",
            "versions": {"daemon": "0.1.0", "api": "1.0", "sqlcipher": "4.6.1"}}

    def do_account_login(self, connection, params, fds):
        if params["password"] != "secret":
            raise RpcError("denied", "wrong user or password")
        return {"user_id": params["user_id"], "user_name": "Alice Adams"}

    def do_chats_list(self, connection, params, fds):
        chats = sorted(self.chats.values(), key=lambda c: -(c["last_message_timestamp"] or 0))
        start = int(params.get("cursor") or 0)
        end = start + min(params.get("limit", 50), self.page_max)
        return {"chats": chats[start:end], "cursor": str(end) if end < len(chats) else None,
                "as_of": self.seq}

    def do_chats_get(self, connection, params, fds):
        for chat in self.chats.values():
            if chat["chat_id"] == params.get("chat_id") or chat["user_id"] == params.get("user_id"):
                return chat
        raise RpcError("not_found", "there is no such chat")

    def do_chats_delete(self, connection, params, fds):
        del self.chats[self.do_chats_get(connection, params, fds)["chat_id"]]
        return {}

    def do_chats_create(self, connection, params, fds):
        for chat in self.chats.values():
            if chat["user_id"] == params["user_id"]:
                return chat
        return self.add_chat("c-" + params["user_id"], params["user_id"], params["user_id"])

    def do_messages_list(self, connection, params, fds):
        if params["chat_id"] not in self.chats:
            raise RpcError("not_found", "there is no such chat")
        found = [m for m in self.messages.values() if m["chat_id"] == params["chat_id"]]
        ids = [m["message_id"] for m in found]
        limit = min(params.get("limit", 50), self.page_max)
        if "after" in params:
            found = found[ids.index(params["after"]) + 1:]
            page = found[:limit]
        else:
            if "before" in params:
                found = found[:ids.index(params["before"])]
            page = found[-limit:]
        return {"messages": page, "more": len(page) < len(found), "as_of": self.seq}

    def do_messages_get(self, connection, params, fds):
        if params["message_id"] not in self.messages:
            raise RpcError("not_found", "there is no such message")
        return self.messages[params["message_id"]]

    def do_messages_search(self, connection, params, fds):
        words = [word.lower() for word in params["query"].split()]
        found = [m for m in reversed(self.messages.values())
                 if params.get("chat_id") in (None, m["chat_id"])
                 and all(re.search(r"\b" + re.escape(w), m["text"], re.I) for w in words)]
        start = int(params.get("cursor") or 0)
        end = start + min(params.get("limit", 50), self.page_max)
        pattern = "|".join(r"\b" + re.escape(word) + r"\w*" for word in words)
        return {"results": [{"message": m, "snippet": pieces(m["text"], pattern)}
                            for m in found[start:end]],
                "cursor": str(end) if end < len(found) else None}

    def do_messages_send(self, connection, params, fds):
        message_id = params["message_id"]
        if message_id in self.messages:
            return self.messages[message_id]
        contents = []
        for attachment in params.get("attachments", []):
            with open(fds[attachment["fd"]], "rb", closefd=False) as file:
                contents.append(file.read())
        while fds:
            os.close(fds.pop())
        self.received[message_id] = contents
        chat_id = params.get("chat_id") or self.do_chats_create(connection, params, fds)["chat_id"]
        message = self.add_message(chat_id, params["text"], outgoing=True, message_id=message_id)
        statuses = list(self.auto_status)

        def advance():
            for status in statuses:
                error = None
                if status == "FAILED":
                    error = {"title": "Refused", "detail": "the peer is gone"}
                self.set_status(message_id, status, error)
        return dict(message), (), advance

    def do_messages_mark_read(self, connection, params, fds):
        if params["message_id"] not in self.messages:
            raise RpcError("not_found", "there is no such message")
        self.chats[params["chat_id"]]["unread_count"] = 0
        return {}

    def do_outbox_list(self, connection, params, fds):
        found = [m for m in self.messages.values() if m["status"] in ("PENDING", "FAILED")]
        ids = [m["message_id"] for m in found]
        if "after" in params:
            found = found[ids.index(params["after"]) + 1:]
        page = found[:min(params.get("limit", 50), self.page_max)]
        return {"messages": page, "more": len(page) < len(found), "as_of": self.seq}

    def unsent(self, message_id):
        if message_id not in self.messages:
            raise RpcError("not_found", "there is no such message")
        if self.messages[message_id]["status"] not in ("PENDING", "FAILED"):
            raise RpcError("conflict", "the server has this message")
        return self.messages[message_id]

    def do_messages_retry(self, connection, params, fds):
        self.unsent(params["message_id"])
        self.set_status(params["message_id"], "PENDING")
        return self.messages[params["message_id"]]

    def do_messages_cancel(self, connection, params, fds):
        self.unsent(params["message_id"])
        del self.messages[params["message_id"]]
        return {}

    def do_attachments_get(self, connection, params, fds):
        if params["attachment_id"] not in self.attachments:
            raise RpcError("not_found", "there is no such attachment")
        return self.full_attachment(params["attachment_id"])

    def do_attachments_open(self, connection, params, fds):
        attachment = self.do_attachments_get(connection, params, fds)
        data = self.bytes[params["attachment_id"], params["variant"]]
        fd = os.memfd_create("attachment", os.MFD_CLOEXEC)
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        return {"size": len(data), "mime": attachment["mime"], "name": attachment["name"],
                "fd": 0}, (fd,), None

    def do_attachments_download(self, connection, params, fds):
        attachment = self.do_attachments_get(connection, params, fds)
        stored = self.attachments[params["attachment_id"]][1]
        stored["status"] = "DOWNLOADING"
        attachment["status"] = "DOWNLOADING"

        def arrive():
            stored["progress"] = stored["size"] // 2
            self.change("transfer.progress", self.full_attachment(params["attachment_id"]))
            stored["progress"], stored["status"] = stored["size"], "READY"
            self.change("attachment.updated", self.full_attachment(params["attachment_id"]))
        return attachment, (), arrive

    def do_events_subscribe(self, connection, params, fds):
        since = params.get("since", self.seq)
        if "consumer" in params:
            since = self.consumers.setdefault(params["consumer"], since)
        if since > self.seq:
            raise RpcError("invalid", "'since' is ahead of the newest change; list anew")
        connection.topics = params.get("topics")
        connection.chats = params.get("chats")
        connection.position = since

        def catch_up():
            for seq, topic, data in self.log:
                if seq > since:
                    self._tell(connection, seq, topic, data)
        return {"seq": since}, (), catch_up

    def do_events_ack(self, connection, params, fds):
        if params["consumer"] not in self.consumers:
            raise RpcError("not_found", "there is no such consumer")
        self.consumers[params["consumer"]] = max(self.consumers[params["consumer"]], params["seq"])
        self.changed.notify_all()
        return {"consumer": params["consumer"], "seq": params["seq"]}

    def do_events_consumers(self, connection, params, fds):
        return {"consumers": [{"consumer": name, "seq": seq}
                              for name, seq in sorted(self.consumers.items())], "as_of": self.seq}

    def do_settings_get(self, connection, params, fds):
        found = [s for s in self.settings if params.get("name") in (None, s["name"])]
        if not found:
            raise RpcError("not_found", "there is no such setting")
        return {"settings": found}

    def do_settings_set(self, connection, params, fds):
        setting, = self.do_settings_get(connection, params, fds)["settings"]
        setting["value"] = params.get("value", setting["default"])
        return {"settings": [setting]}

    def do_changes_wait(self, connection, params, fds):
        since = params.get("since", self.seq)

        def later():
            return [{"seq": seq, "topic": topic,
                     **{name: data[name] for name in data if name.endswith("_id")
                        and name != "user_id"}}
                    for seq, topic, data in self.log
                    if seq > since and topic in params.get("topics", [topic])
                    and data.get("chat_id") in params.get("chats", [data.get("chat_id")])]
        self.changed.wait_for(lambda: connection.closed or later(), params["timeout_ms"] / 1000)
        return {"seq": self.seq, "changes": later()}

    def do_events_unsubscribe(self, connection, params, fds):
        connection.position = None
        return {}


def pieces(text, pattern):
    """A snippet: the whole text, cut where matches begin and end."""
    found = [p for p in re.split(f"({pattern})", text, flags=re.I) if p]
    return [{"text": p, "match": bool(re.fullmatch(pattern, p, re.I))} for p in found]


def now():
    return int(time.time() * 1000)
