# SPDX-License-Identifier: GPL-3.0-or-later
"""Subscribers: they come and go, read slowly, and build what they know out of what they are told."""

import rpc
from model import Difference

DURABLE = ["message.added", "message.updated", "message.removed", "chat.updated", "chat.removed",
           "attachment.updated"]


class Follower:
    """One subscriber of one device, over all its connections."""

    def __init__(self, device, name, topics=None, receive_buffer=None):
        self.device, self.name, self.topics = device, f"{device.name}/{name}", topics
        self.receive_buffer = receive_buffer
        self.client = None
        self.wanted = True    # it comes back by itself after a kill
        self.stalled = False  # it is connected and reads nothing
        self.connections = self.told = 0
        self.reset()

    def reset(self):
        """The device has lost its data: from the beginning."""
        self.last = 0
        self.messages, self.chats, self.added = {}, {}, {}
        self.request = None
        self.disconnect()

    def connect(self):
        if self.client or not self.wanted:
            return
        self.client = rpc.Client(self.device.path, receive_buffer=self.receive_buffer)
        options = {"topics": self.topics} if self.topics else {}
        self.request = self.client.start("events.subscribe", since=self.last, **options)
        self.connections += 1

    def disconnect(self):
        if self.client:
            self.client.close()
        self.client = None
        self.stalled = False

    def read(self):
        """What has come, without waiting. What came with the end of the connection counts."""
        try:
            self.client.receive_arrived()
        finally:
            self.take()

    def take(self):
        answer = self.client.answers.pop(self.request, None)
        if answer and "error" in answer:
            raise Difference(f"{self.name}: subscribing since {self.last} was refused: {answer}")
        while self.client.changes:
            change = self.client.changes.popleft()
            if "seq" in change:
                self.apply(change["seq"], change["topic"], change["data"])

    def apply(self, seq, topic, data):
        if seq <= self.last:
            raise Difference(f"{self.name}: told {topic} {seq} after {self.last}")
        if self.topics and topic not in self.topics:
            raise Difference(f"{self.name}: told {topic}, which it did not ask for")
        self.last = seq
        self.told += 1
        self.device.note_change(self, seq, topic, data)
        if topic == "message.added":
            self.add(seq, data)
        elif topic == "message.updated":
            if not self.topics and data["message_id"] not in self.messages:
                raise Difference(f"{self.name}: {seq} updates a message that was never added")
            self.messages[data["message_id"]] = data
        elif topic == "message.removed":
            self.messages.pop(data["message_id"], None)
        elif topic == "chat.updated":
            self.chats[data["chat_id"]] = data
        elif topic == "chat.removed":
            self.remove_chat(data["chat_id"])
        elif topic == "attachment.updated":
            self.put_attachment(data)

    def remove_chat(self, id):
        self.chats.pop(id, None)
        for message in [m for m in self.messages.values() if m["chat_id"] == id]:
            del self.messages[message["message_id"]]

    def add(self, seq, message):
        """Once; and again in a chat that began here, when it gets the server's name."""
        id = message["message_id"]
        known = self.messages.get(id)
        if id in self.added and known and known["chat_id"] == message["chat_id"]:
            raise Difference(f"{self.name}: {id} was added at {self.added[id]} and again at {seq}")
        self.added[id] = seq
        self.messages[id] = message

    def put_attachment(self, data):
        message = self.messages.get(data.get("message_id"))
        for n, known in enumerate(message["attachments"] if message else ()):
            if known["attachment_id"] == data["attachment_id"]:
                message["attachments"][n] = data
