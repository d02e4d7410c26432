# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's attachments: tus uploads that break and go on, descriptions, ranged downloads."""

import base64
import hashlib
import http.client
import os
import socket
import urllib.parse
import uuid

import pytest

from backend import Backend

TUS = {"Tus-Resumable": "1.0.0"}
PATCH = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One for the many small tests that leave nothing behind."""
    with Backend(tmp_path_factory.mktemp("shared")) as backend:
        yield backend


@pytest.fixture
def backend(tmp_path):
    with Backend(tmp_path) as backend:
        yield backend


@pytest.fixture
def alice(backend):
    return backend.login("alice")


def offset(account, location):
    answer = account.request("HEAD", location, headers=TUS)
    assert answer.status == 200, answer
    assert answer.headers["Cache-Control"] == "no-store" and answer.body == b""
    return int(answer.headers["Upload-Offset"])


def patch(account, location, data, at, **headers):
    return account.request("PATCH", location, data, {**PATCH, "Upload-Offset": str(at), **headers})


def test_options_advertise(shared):
    for path in ("/uploads", "/uploads/x"):
        answer = shared.request("OPTIONS", path)
        assert answer.status == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert set(answer.headers["Tus-Extension"].split(",")) == {"creation", "termination", "checksum"}
        assert set(answer.headers["Tus-Checksum-Algorithm"].split(",")) == {"sha1", "sha256"}
        assert int(answer.headers["Tus-Max-Size"]) > 0


def test_upload_in_pieces(alice):
    data = os.urandom(300000)
    location = alice.create_upload("a1", "full", len(data), width=640, height=480, name="a photo.jpg")
    assert offset(alice, location) == 0
    at = 0
    while at < len(data):
        piece = data[at:at + 70000]
        answer = patch(alice, location, piece, at)
        at += len(piece)
        assert answer.status == 204 and int(answer.headers["Upload-Offset"]) == at
        assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert offset(alice, location) == len(data)
    assert alice.request("GET", "/attachments/a1").status == 404
    alice.upload_variant("a1", "preview", b"small")
    assert alice.get("/attachments/a1") == {
        "id": "a1", "mime": "image/jpeg", "size": len(data), "width": 640, "height": 480,
        "sha256": hashlib.sha256(data).hexdigest(), "url": f"{alice.backend.url}/attachments/a1/full",
        "preview_url": f"{alice.backend.url}/attachments/a1/preview", "preview_size": 5, "name": "a photo.jpg"}


def test_metadata_comes_back(alice):
    location = alice.create_upload("a1", "full", 3)
    answer = alice.request("HEAD", location, headers=TUS)
    assert answer.headers["Upload-Length"] == "3"
    pairs = dict(p.split(" ") for p in answer.headers["Upload-Metadata"].split(","))
    assert base64.b64decode(pairs["attachment_id"]) == b"a1"


def test_version_is_checked(alice):
    for headers in ({}, {"Tus-Resumable": "0.2.2"}):
        answer = alice.request("POST", "/uploads", b"", {**headers, "Upload-Length": "1"})
        assert answer.status == 412 and answer.headers["Tus-Version"] == "1.0.0"


def encode(**values):
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in values.items())


GOOD = {"attachment_id": "a1", "variant": "full", "mime": "image/jpeg"}


@pytest.mark.parametrize("length, metadata", [
    (None, encode(**GOOD)), ("x", encode(**GOOD)), ("-1", encode(**GOOD)), ("1", None), ("1", "attachment_id"),
    ("1", encode(**{**GOOD, "variant": "tiny"})), ("1", encode(**{**GOOD, "mime": "image"})),
    ("1", encode(**{**GOOD, "mime": "image/jpeg\r\nx: y"})), ("1", encode(**{**GOOD, "attachment_id": "a,b"})),
    ("1", encode(**{**GOOD, "attachment_id": "../x"})), ("1", encode(**{**GOOD, "attachment_id": ""})),
    ("1", encode(**GOOD, width="wide")), ("1", "attachment_id !!,variant ZnVsbA==,mime eC95")])
def test_creation_is_checked(shared, length, metadata):
    alice = shared.login("alice")
    headers = {**TUS}
    if length:
        headers["Upload-Length"] = length
    if metadata:
        headers["Upload-Metadata"] = metadata
    answer = alice.request("POST", "/uploads", b"", headers)
    assert answer.status == 422, answer
    assert answer.json["type"] == "urn:chat:malformed"


def test_too_large_is_said_with_the_limit(alice):
    answer = alice.request("POST", "/uploads", b"", {
        **TUS, "Upload-Length": str(10 ** 12), "Upload-Metadata": encode(**GOOD)})
    assert answer.status == 413
    assert "104857600" in answer.json["detail"]


def test_patch_is_checked(alice, backend):
    location = alice.create_upload("a1", "full", 10)
    wrong = patch(alice, location, b"abc", 3)
    assert wrong.status == 409 and wrong.headers["Upload-Offset"] == "0"
    assert wrong.json["type"] == "urn:chat:offset_conflict"
    assert patch(alice, location, b"x" * 11, 0).status == 413
    assert alice.request("PATCH", location, b"abc", {**TUS, "Upload-Offset": "0"}).status == 415
    assert patch(alice, location, b"abc", "x").status == 409
    assert patch(alice, "/uploads/none", b"abc", 0).status == 404
    assert patch(backend.login("bob"), location, b"abc", 0).status == 403
    assert offset(alice, location) == 0
    assert patch(alice, location, b"", 0).status == 204


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_checksums(alice, algorithm):
    data = os.urandom(100000)
    location = alice.create_upload("a1", "full", len(data))
    def sum_of(piece):
        return {"Upload-Checksum": f"{algorithm} {base64.b64encode(hashlib.new(algorithm, piece).digest()).decode()}"}
    assert patch(alice, location, data[:50000], 0, **sum_of(data[:50000])).status == 204
    mismatch = patch(alice, location, data[50000:], 50000, **sum_of(b"other"))
    assert mismatch.status == 460
    assert mismatch.json["type"] == "urn:chat:checksum_mismatch"
    assert offset(alice, location) == 50000
    assert patch(alice, location, data[50000:], 50000, **sum_of(data[50000:])).status == 204
    alice.upload_variant("a1", "preview", b"p")
    assert alice.get("/attachments/a1")["sha256"] == hashlib.sha256(data).hexdigest()


def test_unknown_checksums_are_refused(alice):
    location = alice.create_upload("a1", "full", 3)
    for value in ("md5 AAAA", "sha1", "sha1 AAAA", "sha256 !"):
        assert patch(alice, location, b"abc", 0, **{"Upload-Checksum": value}).status == 400
    assert offset(alice, location) == 0


def broken_patch(account, location, data, announced, at=0, headers=()):
    """Sends the head of a PATCH and only some of its body, and leaves the connection open."""
    s = socket.create_connection(("127.0.0.1", account.backend.port))
    lines = [f"PATCH {location} HTTP/1.1", "Host: x", f"Authorization: Bearer {account.token}",
             "Tus-Resumable: 1.0.0", "Content-Type: application/offset+octet-stream", f"Upload-Offset: {at}",
             f"Content-Length: {announced}", *headers, "", ""]
    s.sendall("\r\n".join(lines).encode() + data)
    return s


def test_what_came_before_a_break_is_kept(alice, backend):
    location = alice.create_upload("a1", "full", 200000)
    s = broken_patch(alice, location, b"x" * 120000, 200000)
    backend.wait_stats(lambda stats: stats["bytes_uploaded"] == 120000)
    s.close()
    # The HEAD may even come before the backend notices the break: it takes the upload over.
    assert offset(alice, location) == 120000
    assert patch(alice, location, b"x" * 80000, 120000).status == 204


def test_a_dead_connection_makes_way(alice, backend):
    location = alice.create_upload("a1", "full", 10)
    s = broken_patch(alice, location, b"12345", 10)
    backend.wait_stats(lambda stats: stats["bytes_uploaded"] == 5)
    assert offset(alice, location) == 5
    assert patch(alice, location, b"67890", 5).status == 204
    assert s.recv(100) == b""
    s.close()


def test_checksummed_piece_is_kept_whole_or_not_at_all(alice, backend):
    location = alice.create_upload("a1", "full", 10)
    digest = base64.b64encode(hashlib.sha1(b"0123456789").digest()).decode()
    s = broken_patch(alice, location, b"01234", 10, headers=[f"Upload-Checksum: sha1 {digest}"])
    backend.wait_stats(lambda stats: stats["bytes_uploaded"] == 5)
    s.close()
    assert offset(alice, location) == 0


def test_acknowledged_bytes_outlive_a_crash(alice, backend):
    data = os.urandom(150000)
    location = alice.create_upload("a1", "full", len(data))
    assert patch(alice, location, data[:100000], 0).status == 204
    s = broken_patch(alice, location, data[100000:120000], 50000, at=100000)
    backend.wait_stats(lambda stats: stats["bytes_uploaded"] == 120000)
    backend.kill()
    s.close()
    backend.start()
    at = offset(alice, location)
    assert at == 100000
    assert patch(alice, location, data[at:], at).status == 204
    alice.upload_variant("a1", "preview", b"p")
    assert alice.request("GET", "/attachments/a1/full").body == data


def test_creation_again(alice, backend):
    first = alice.create_upload("a1", "full", 3)
    patch(alice, first, b"ab", 0)
    second = alice.create_upload("a1", "full", 3)
    assert offset(alice, second) == 0
    assert alice.request("HEAD", first, headers=TUS).status == 404
    patch(alice, second, b"abc", 0)
    assert alice.create_upload("a1", "full", 3) == second
    assert offset(alice, second) == 3
    answer = backend.login("bob").request("POST", "/uploads", b"", {
        **TUS, "Upload-Length": "3", "Upload-Metadata": encode(**{**GOOD, "variant": "preview"})})
    assert answer.status == 409


def test_termination(alice, backend):
    location = alice.create_upload("a1", "full", 3)
    patch(alice, location, b"abc", 0)
    stored = list((backend.data / "bytes").iterdir())
    assert len(stored) == 1
    assert backend.login("bob").request("DELETE", location, headers=TUS).status == 403
    assert alice.request("DELETE", location, headers=TUS).status == 204
    assert alice.request("HEAD", location, headers=TUS).status == 404
    assert alice.request("DELETE", location, headers=TUS).status == 404
    assert list((backend.data / "bytes").iterdir()) == []


def test_bytes_without_a_row_are_dropped_at_start(alice, backend):
    alice.upload()
    assert backend.stop() == 0
    (backend.data / "bytes" / str(uuid.uuid4())).write_bytes(b"orphan")
    backend.start()
    assert len(list((backend.data / "bytes").iterdir())) == 2


def test_message_with_attachments(alice, backend):
    bob = backend.login("bob")
    chat = alice.chat_with("bob")
    a, b = alice.connect(), bob.connect()
    one, two = alice.upload(b"1" * 1000, name="one.jpg"), alice.upload(b"2" * 2000)
    ack = a.say(chat, "", attachments=f"{one},{two}")
    got = b.expect("MSG_IN")
    assert got["message"]["attachments"] == f"{one},{two}"
    assert [x["id"] for x in got["attachments"]] == [one, two]
    assert [x["size"] for x in got["attachments"]] == [1000, 2000]
    assert got["attachments"] == [bob.get(f"/attachments/{one}"), bob.get(f"/attachments/{two}")]
    page = bob.get(f"/chats/{chat}/messages")
    assert page["attachments"] == got["attachments"]
    assert bob.get("/chats")["attachments"] == got["attachments"]
    assert a.say(chat, "", attachments=f"{one},{two}", message_id=ack["message_id"]) == ack
    refused = a.say(chat, "once more", attachments=one)
    assert refused["error"]["type"] == "urn:chat:id_conflict"
    assert a.say(chat, "", attachments=f"{two},{two}")["error"]["status"] == 422


def test_incomplete_and_foreign_attachments_are_refused(alice, backend):
    chat = alice.chat_with("bob")
    a = alice.connect()
    only_full = str(uuid.uuid4())
    alice.upload_variant(only_full, "full", b"x")
    unfinished = alice.upload()
    part = str(uuid.uuid4())
    alice.upload_variant(part, "full", b"x")
    patch(alice, alice.create_upload(part, "preview", 10), b"12345", 0)
    for bad in (only_full, part, f"{unfinished},{part}", "unknown"):
        error = a.say(chat, "x", attachments=bad)["error"]
        assert (error["status"], error["type"]) == (422, "urn:chat:attachment_incomplete")
    foreign = backend.login("bob").upload()
    assert a.say(chat, "x", attachments=foreign)["error"]["status"] == 403
    assert alice.get(f"/chats/{chat}/messages")["messages"] == []
    assert a.say(chat, "x", attachments=unfinished)["seq"] == 1


def test_sent_attachments_stay_as_they_are(alice, backend):
    chat = alice.chat_with("bob")
    attachment = alice.upload(b"sent")
    location = alice.create_upload(attachment, "full", 4)
    alice.connect().say(chat, "", attachments=attachment)
    assert alice.request("DELETE", location, headers=TUS).status == 409
    answer = alice.request("POST", "/uploads", b"", {
        **TUS, "Upload-Length": "9", "Upload-Metadata": encode(**{**GOOD, "attachment_id": attachment})})
    assert answer.status == 409


def test_who_may_see_attachments(alice, backend):
    bob, carol = backend.login("bob"), backend.login("carol")
    attachment = alice.upload(b"secret")
    paths = [f"/attachments/{attachment}{rest}" for rest in ("", "/full", "/preview")]
    assert [alice.request("GET", p).status for p in paths] == [200] * 3
    assert [bob.request("GET", p).status for p in paths] == [403] * 3
    alice.connect().say(alice.chat_with("bob"), "", attachments=attachment)
    assert [bob.request("GET", p).status for p in paths] == [200] * 3
    assert [carol.request("GET", p).status for p in paths] == [403] * 3
    assert [backend.request("GET", p).status for p in paths] == [401] * 3


@pytest.mark.parametrize("asked, status, span", [
    (None, 200, (0, 99999)), ("bytes=0-9", 206, (0, 9)), ("bytes=50000-", 206, (50000, 99999)),
    ("bytes=-10", 206, (99990, 99999)), ("bytes=99999-200000", 206, (99999, 99999)), ("bytes=-200000", 206, (0, 99999)),
    ("bytes=100000-", 416, None), ("bytes=-0", 416, None), ("bytes=5-2", 200, (0, 99999)),
    ("bytes=0-1,5-6", 200, (0, 99999)), ("lines=1-2", 200, (0, 99999)), ("bytes=x-y", 200, (0, 99999)),
    ("bytes=0-99999999999999999999", 206, (0, 99999)), ("bytes=99999999999999999999-", 416, None)])
def test_ranges(shared, asked, status, span):
    alice = shared.login("alice")
    data = os.urandom(100000)
    attachment = alice.upload(data)
    answer = alice.request("GET", f"/attachments/{attachment}/full", headers={"Range": asked} if asked else {})
    assert answer.status == status
    if span is None:
        assert answer.headers["Content-Range"] == "bytes */100000"
        return
    assert answer.body == data[span[0]:span[1] + 1]
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Accept-Ranges"] == "bytes"
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {span[0]}-{span[1]}/100000"


def test_etags(alice, backend):
    attachment = alice.upload(b"0123456789")
    path = f"/attachments/{attachment}/full"
    etag = alice.request("GET", path).headers["ETag"]
    assert etag.startswith('"') and etag.endswith('"')
    assert alice.request("GET", path, headers={"If-None-Match": etag}).status == 304
    part = {"Range": "bytes=5-"}
    assert alice.request("GET", path, headers={**part, "If-Range": etag}).body == b"56789"
    backend.control("change_etag")
    answer = alice.request("GET", path, headers={**part, "If-Range": etag})
    assert answer.status == 200 and answer.body == b"0123456789"
    assert answer.headers["ETag"] != etag
    assert alice.request("GET", f"/attachments/{attachment}/preview").headers["ETag"] != answer.headers["ETag"]


def test_head_of_bytes(alice):
    attachment = alice.upload(b"0123456789")
    answer = alice.request("HEAD", f"/attachments/{attachment}/full")
    assert answer.status == 200 and answer.body == b""
    assert answer.headers["Content-Length"] == "10" and answer.headers["ETag"]


def test_empty_bytes(alice):
    attachment = alice.upload(b"", b"")
    answer = alice.request("GET", f"/attachments/{attachment}/full")
    assert answer.status == 200 and answer.body == b""
    assert alice.request("GET", f"/attachments/{attachment}/full", headers={"Range": "bytes=0-"}).status == 416
    assert alice.get(f"/attachments/{attachment}")["sha256"] == hashlib.sha256(b"").hexdigest()


def test_large_download_is_whole(alice):
    data = os.urandom(8 * 1024 * 1024)
    attachment = alice.upload(data)
    answer = alice.request("GET", f"/attachments/{attachment}/full")
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(data).digest()


def test_expect_continue(alice, backend):
    location = alice.create_upload("a1", "full", 5)
    s = broken_patch(alice, location, b"", 5, headers=["Expect: 100-continue"])
    assert s.recv(4096).startswith(b"HTTP/1.1 100 ")
    s.sendall(b"12345")
    assert s.recv(4096).startswith(b"HTTP/1.1 204 ")
    s.close()
    s = broken_patch(alice, location, b"", 5, headers=["Expect: 100-continue"])
    assert s.recv(4096).startswith(b"HTTP/1.1 409 ")
    s.close()


def test_length_is_required(alice):
    s = socket.create_connection(("127.0.0.1", alice.backend.port))
    s.sendall(b"POST /uploads HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert s.recv(4096).startswith(b"HTTP/1.1 411 ")
    s.close()
    connection = http.client.HTTPConnection("127.0.0.1", alice.backend.port, timeout=10)
    connection.putrequest("PUT", "/push")
    connection.putheader("Content-Length", "-5")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def get_url(url, headers=None):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}", headers=headers or {})
    answer = connection.getresponse()
    result = answer.status, answer.headers, answer.read()
    connection.close()
    return result


@pytest.fixture
def with_cdn(tmp_path):
    with Backend(tmp_path, cdn=True) as backend:
        yield backend


def test_cdn_is_another_origin_without_tokens(with_cdn):
    alice = with_cdn.login("alice")
    attachment = alice.upload(b"0123456789")
    found = alice.get(f"/attachments/{attachment}")
    assert urllib.parse.urlsplit(found["url"]).port != with_cdn.port
    status, headers, body = get_url(found["url"])
    assert (status, body) == (200, b"0123456789")
    status, _, body = get_url(found["url"], {"Range": "bytes=5-", "If-Range": headers["ETag"]})
    assert (status, body) == (206, b"56789")
    assert get_url(found["preview_url"])[2] == b"preview"
    assert with_cdn.stats()["requests_cdn_with_token"] == 0
    get_url(found["url"], {"Authorization": f"Bearer {alice.token}"})
    assert with_cdn.stats()["requests_cdn_with_token"] == 1


def test_cdn_has_bytes_only_and_wants_the_key(with_cdn):
    alice = with_cdn.login("alice")
    attachment = alice.upload()
    url = urllib.parse.urlsplit(alice.get(f"/attachments/{attachment}")["url"])
    origin = f"http://{url.netloc}"
    token = {"Authorization": f"Bearer {alice.token}"}
    for path in (url.path, url.path + "?key=" + "0" * 32, url.path.replace("full", "preview") + "?" + url.query,
                 "/chats", "/login", "/_control/stats"):
        assert get_url(origin + path, token)[0] == 404
    assert alice.request("GET", url.path).status == 200


def test_redirect_leads_to_the_cdn(with_cdn):
    alice = with_cdn.login("alice")
    attachment = alice.upload(b"moved")
    with_cdn.control("redirect", path="/attachments/")
    answer = alice.request("GET", f"/attachments/{attachment}/full")
    assert answer.status == 307
    assert get_url(answer.headers["Location"])[2] == b"moved"
    assert alice.request("GET", f"/attachments/{attachment}/full").status == 200
