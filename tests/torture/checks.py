# SPDX-License-Identifier: GPL-3.0-or-later
"""At rest: is what everybody has the same as what the server has, and as what was promised?"""

import hashlib
import time

from model import MARK, Difference

# No wait of a daemon is longer than five minutes; who is not there after this is stuck.
PATIENCE = 330
AGREEMENT = 45  # of listening: from quiet to agreement only frames are under way
NEWEST = 400    # messages of a chat that are compared every time; now and then all are


def rest(world, drop, deep):
    """Ends the faults, waits until nothing moves, and compares; raises Difference."""
    world.stop_faults(drop)
    wait_quiet(world)
    world.model.settle_refusals()
    agree(world, None if deep else NEWEST)
    for device in world.devices.values():
        check_photos(world, device)
    check_nothing_readable(world)
    world.model.figures["rests"] += 1


def agree(world, newest):
    """Comparing reads old history, which is news to subscribers: they get as long to hear of it as it took."""
    left = AGREEMENT
    while True:
        began = time.monotonic()
        differences = compare(world, newest)
        if not differences:
            return
        if left <= 0:
            raise Difference("\n".join(differences[:25]))
        patience = max(0.3, time.monotonic() - began)
        world.pump(patience)
        left -= patience


def wait_quiet(world):
    deadline = time.monotonic() + PATIENCE
    while True:
        world.pump(0.2)
        left = {name: why for name, d in world.devices.items() if (why := world.is_quiet(d))}
        if not left:
            return
        if time.monotonic() > deadline:
            raise Difference(f"never came to rest: {left}")


# The server's side.

def server_chats(account):
    chats, after = [], ""
    while True:
        page = account.get(f"/chats?limit=200{after}")
        chats += page["chats"]
        if not page["more"]:
            return {chat["id"]: chat for chat in chats}
        after = f"&after_id={chats[-1]['id']}"


def server_history(account, chat, newest):
    """The newest messages of a chat, all if None; and all attachments they name."""
    messages, attachments, before = [], {}, ""
    while True:
        page = account.get(f"/chats/{chat}/messages?limit=200{before}")
        messages = page["messages"] + messages
        attachments |= {a["id"]: a for a in page["attachments"]}
        if not page["more"] or (newest and len(messages) >= newest):
            return messages, attachments
        before = f"&before_id={messages[0]['id']}"


def status_of(message, chat, user):
    if message["user_id"] != user:
        return "READ" if message["seq"] <= chat["read_seq"] else "RECEIVED"
    if message["seq"] <= chat["peer_read_seq"]:
        return "READ"
    return "RECEIVED" if message["seq"] <= chat["peer_received_seq"] else "SENT"


def as_shown(message, chat, user):
    ids = message["attachments"].split(",") if message["attachments"] else []
    return {"message_id": message["id"], "user_id": message["user_id"], "text": message["text"],
            "seq": message["seq"], "created_at": message["created_at"], "attachments": ids,
            "status": status_of(message, chat, user), "chat_id": message["chat_id"]}


# A device's side.

def device_chats(device):
    chats, cursor = [], {}
    while True:
        page = device.call("chats.list", limit=200, **cursor)
        chats += page["chats"]
        if not page["cursor"]:
            return {chat["chat_id"]: chat for chat in chats}
        cursor = {"cursor": page["cursor"]}


def device_history(device, chat, newest):
    messages, before = [], {}
    while True:
        page = device.call("messages.list", chat_id=chat, limit=200, **before)
        messages = page["messages"] + messages
        if not page["more"] or not page["messages"] or (newest and len(messages) >= newest):
            return messages
        before = {"before": messages[0]["message_id"]}


def shown(message):
    keys = ("message_id", "user_id", "text", "seq", "created_at", "status", "chat_id")
    return {k: message.get(k) for k in keys} | {
        "attachments": [a["attachment_id"] for a in message["attachments"]]}


def plain(message):
    """Without what moves too fast to be told of, or is told beside it."""
    drop = ("progress", "message_id", "chat_id")
    attachments = [{k: v for k, v in a.items() if k not in drop} for a in message["attachments"]]
    return {**message, "attachments": attachments}


# Comparing.

def compare(world, newest):
    """What differs, as sentences; empty when all is well."""
    out = []
    for user in ("alice", "bob"):
        account = world.backend.login(user)
        chats = {id: c for id, c in server_chats(account).items() if c["last_seq"] > 0}
        histories = {id: server_history(account, id, newest) for id in chats}
        out += compare_model(world, user, chats, histories, newest)
        for device in world.devices.values():
            if device.user == user:
                out += compare_device(world, device, chats, histories, newest)
    return out


def compare_model(world, user, chats, histories, newest):
    """The server has what was accepted, once, and nothing that was not asked for."""
    model, out = world.model, []
    on_server, peers = {}, {c["user_id"]: c for c in chats.values()}
    for id, (messages, _) in histories.items():
        if newest is None and [m["seq"] for m in messages] != list(range(1, len(messages) + 1)):
            out.append(f"server: chat {id} has holes")
        for m in messages:
            if m["user_id"] == user:
                on_server[m["id"]] = (m, chats[id]["user_id"])
    for id, (message, peer) in on_server.items():
        sent = model.sent.get(id)
        if not sent or (sent.user, sent.peer, sent.text) != (user, peer, message["text"]):
            out.append(f"server: {id} is in the chat of {user} with {peer} and was not sent so")
        elif bool(sent.photo) != bool(message["attachments"]):
            out.append(f"server: {id} came without its photo")
        elif sent.failed:
            out.append(f"server: {id} is there, and its sender shows it as FAILED")
    recent = list(model.sent.values())
    if newest:
        recent = recent[-newest // 2:]
    for sent in recent:
        if sent.user == user and sent.accepted and not sent.failed and \
                sent.message_id not in on_server:
            out.append(f"server: {sent.message_id}, accepted by {sent.device}, is lost")
    for peer, chat in peers.items():
        least, most = model.read_least[user, peer], model.read_most[user, peer]
        if not least <= chat["read_seq"] <= most:
            out.append(f"server: {user} has read {peer} up to {chat['read_seq']}; "
                       f"marked were {least} to {most}")
        if peer in ("alice", "bob"):
            other = [m["seq"] for m in histories[chat["id"]][0] if m["user_id"] == user]
            if other and chat["peer_received_seq"] < max(other):
                out.append(f"server: {peer} has received {chat['peer_received_seq']} "
                           f"of {max(other)} from {user}")
    return out


def compare_device(world, device, chats, histories, newest):
    out, mine, all_here = [], device_chats(device), {}
    if missing := set(chats) - set(mine):
        out.append(f"{device.name}: has no chat {missing}")
    for id, chat in mine.items():
        here = device_history(device, id, newest)
        all_here |= {m["message_id"]: m for m in here}
        placed = [m for m in here if "seq" in m]
        out += check_unplaced(world, device, [m for m in here if "seq" not in m])
        if id not in chats:
            if placed:
                out.append(f"{device.name}: chat {id} is not the server's")
            continue
        there, _ = histories[id]
        expected = [as_shown(m, chats[id], device.user) for m in there]
        if newest:
            n = min(len(placed), len(expected), newest // 2)
            placed, expected = placed[-n:] if n else [], expected[-n:] if n else []
        out += differing(device.name, [shown(m) for m in placed], expected)
        out += check_chat(device, chat, chats[id], there)
    out += check_followers(device, mine, all_here, newest)
    out += check_order(world, device, all_here)
    return out


def differing(name, here, expected):
    if here == expected:
        return []
    for a, b in zip(here, expected):
        if a != b:
            keys = [k for k in a if a[k] != b[k]]
            return [f"{name}: {b['message_id']} at {b['seq']}: "
                    f"{ {k: a[k] for k in keys} } here, { {k: b[k] for k in keys} } on the server"]
    return [f"{name}: {len(here)} messages here, {len(expected)} on the server"]


def check_unplaced(world, device, messages):
    """Without a place there is only what the server refused, here where it was sent."""
    out = []
    for m in messages:
        sent = world.model.sent.get(m["message_id"])
        if m["status"] == "FAILED" and sent.refusable and sent.device == device.name and \
                m.get("error", {}).get("title"):
            if not sent.failed:
                world.model.figures["refused by the server"] += 1
            sent.failed = True
        else:
            out.append(f"{device.name}: {m['message_id']} is {m['status']} at rest")
    return out


def check_chat(device, here, there, messages):
    out = []
    if here["last_message_id"] != there["last_message_id"] and here["last_message_status"] not in \
            ("FAILED", "PENDING"):
        out.append(f"{device.name}: the last message of {here['chat_id']} is "
                   f"{here['last_message_id']}, on the server {there['last_message_id']}")
    if messages and (messages[0]["seq"] == 1 or messages[0]["seq"] <= there["read_seq"]):
        unread = sum(m["user_id"] != device.user and m["seq"] > there["read_seq"] for m in messages)
        if here["unread_count"] != unread:
            out.append(f"{device.name}: {here['unread_count']} unread of {here['chat_id']}, "
                       f"by the server's messages {unread}")
    return out


def check_followers(device, chats, messages, newest):
    """Who built everything from notifications has what messages.list shows."""
    out = []
    for follower in device.followers:
        if missing := set(messages) - set(follower.added):
            out.append(f"{follower.name}: was never told of {sorted(missing)[:5]}")
        if newest is None and (more := set(follower.added) - set(messages)):
            out.append(f"{follower.name}: was told of {sorted(more)[:5]}, which is not there")
        if follower.topics:
            continue
        for id, message in messages.items():
            known = follower.messages.get(id)
            if known and plain(known) != plain(message):
                out.append(f"{follower.name}: knows {plain(known)}, there is {plain(message)}")
                break
        if follower.chats != chats:
            wrong = [id for id in {*chats, *follower.chats}
                     if chats.get(id) != follower.chats.get(id)]
            out.append(f"{follower.name}: of chats {wrong[:3]} knows "
                       f"{[follower.chats.get(id) for id in wrong[:3]]}, there is "
                       f"{[chats.get(id) for id in wrong[:3]]}")
    return out


def check_order(world, device, messages):
    """Texts go out in the order in which they were accepted, unless the server refused some."""
    last, out = {}, []
    for id in device.followers[0].added:
        sent, message = world.model.sent.get(id), messages.get(id)
        if not sent or not message or sent.device != device.name or sent.gone or sent.photo or \
                sent.refusable:
            continue
        before = last.get(message["chat_id"])
        if before and "seq" in message and message["seq"] < before[0]:
            out.append(f"{device.name}: {id} went before {before[1]}, accepted earlier")
        last[message["chat_id"]] = (message.get("seq", 0), id)
    return out


# Photos, and what lies on the disk.

def check_photos(world, device):
    """Every photo can be had, and its bytes are those that the server has."""
    account = world.backend.login(device.user)
    for message in device.followers[0].messages.values():
        for photo in message["attachments"]:
            id = photo["attachment_id"]
            if "seq" in message and id not in device.photos_seen:
                there = account.get(f"/attachments/{id}")
                data = read_photo(world, device, id)
                if hashlib.sha256(data).hexdigest() != there["sha256"]:
                    raise Difference(f"{device.name}: the photo {id} has other bytes")
                device.photos_seen[id] = data[len(data) // 2:][:48]
                world.model.figures["photos compared"] += 1


def read_photo(world, device, id):
    deadline = time.monotonic() + PATIENCE
    while (state := device.call("attachments.get", attachment_id=id))["status"] != "READY":
        if state["status"] in ("WAITING", "FAILED"):
            device.call("attachments.download", attachment_id=id)
        if time.monotonic() > deadline:
            raise Difference(f"{device.name}: a photo never came: {state}")
        world.pump(0.1)
    if not state["preview_ready"]:
        raise Difference(f"{device.name}: a photo without a preview: {state}")
    return device.read_attachment(id)


def check_nothing_readable(world):
    secrets = [MARK.encode(), *(p.encode() for p in world.backend.users.values())]
    for device in world.devices.values():
        slices = list(device.photos_seen.values())
        files = [p for p in device.data.rglob("*") if p.is_file()] + [device.log_file]
        for file in files:
            content = file.read_bytes()
            for secret in secrets + slices[-40:]:
                if secret in content:
                    raise Difference(f"{secret!r} can be read in {file}")
