"""A small S3: what pyarrow's file system asks of one, in a thread, with requests that fail and a key that is checked.

It keeps everything in memory and shows no other store's habits: no signature is checked (the name of the key is), every
answer is consistent at once, and there is one region.
"""

import hashlib
import random
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

KEY = "somebody"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


@dataclass
class Store:
    """The buckets, each with its objects by key, and what the server does beside answering.

    Attributes:
        buckets: bytes by key, by name.
        uploads: the parts of uploads that are not complete, by number, by id.
        address: of the server.
        failing: share of requests that get 503 instead of an answer.
        seen: method and path of each request.
    """

    buckets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    address: str = ""
    failing: float = 0.0
    seen: list[str] = field(default_factory=list)
    draw: random.Random = field(default_factory=lambda: random.Random(0))


@contextmanager
def served() -> Iterator[Store]:
    """Serve a store on a free port for the `with` block; `bucket` is there."""
    store = Store({"bucket": {}})

    class Bound(_Handler):
        kept = store

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    store.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    kept: Store
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        named = {"Content-Length": str(len(content)), "Content-Type": "application/xml"}
        for name, value in (named | {one.replace("_", "-"): text for one, text in headers.items()}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _fail(self, status: int, code: str) -> None:
        self._send(status, f"{HEAD}<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _answer(self) -> None:
        split = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
        bucket, _, key = urllib.parse.unquote(split.path).lstrip("/").partition("/")
        body = self._body()
        store = self.kept
        store.seen.append(f"{self.command} {split.path}")
        if store.draw.random() < store.failing:
            self._fail(503, "SlowDown")
        elif f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
            self._fail(403, "AccessDenied")
        elif bucket not in store.buckets:
            self._fail(404, "NoSuchBucket")
        elif not key:
            self._of_bucket(bucket, query, body)
        else:
            self._of_object(store.buckets[bucket], key, query, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return body
        content = b""
        while body:  # size in hexadecimal digits, a line break, the bytes, a line break; checksums come last
            head, _, rest = body.partition(b"\r\n")
            size = int(head.partition(b";")[0], 16)
            if not size:
                break
            content, body = content + rest[:size], rest[size + 2 :]
        return content

    def _of_bucket(self, bucket: str, query: dict[str, str], body: bytes) -> None:
        objects = self.kept.buckets[bucket]
        if self.command == "POST" and "delete" in query:
            text = body.decode()
            for part in text.split("<Key>")[1:]:
                objects.pop(part.split("</Key>")[0], None)
            self._send(200, f"{HEAD}<DeleteResult/>".encode())
        elif self.command == "GET" and "list-type" in query:
            self._send(200, _listing(bucket, objects, query).encode())
        else:
            self._send(200)

    def _of_object(self, objects: dict[str, bytes], key: str, query: dict[str, str], body: bytes) -> None:
        uploads = self.kept.uploads
        if self.command in ("GET", "HEAD"):
            self._give(objects, key)
        elif self.command == "DELETE":
            objects.pop(key, None)
            self._send(204)
        elif self.command == "POST" and "uploads" in query:
            number = f"u{len(uploads)}"
            uploads[number] = {}
            said = f"<Bucket>bucket</Bucket><Key>{escape(key)}</Key><UploadId>{number}</UploadId>"
            self._send(200, f"{HEAD}<InitiateMultipartUploadResult>{said}</InitiateMultipartUploadResult>".encode())
        elif self.command == "POST":
            parts = uploads[query["uploadId"]]
            objects[key] = b"".join(parts[number] for number in sorted(parts))
            said = f"<ETag>{etag(objects[key])}</ETag>"
            self._send(200, f"{HEAD}<CompleteMultipartUploadResult>{said}</CompleteMultipartUploadResult>".encode())
        elif "uploadId" in query:
            uploads[query["uploadId"]][int(query["partNumber"])] = body
            self._send(200, ETag=etag(body))
        else:
            objects[key] = body
            self._send(200, ETag=etag(body))

    def _give(self, objects: dict[str, bytes], key: str) -> None:
        content = objects.get(key)
        if content is None:
            self._fail(404, "NoSuchKey")
            return
        tags = {"ETag": etag(content), "Last_Modified": "Mon, 01 Jan 2024 00:00:00 GMT", "Accept_Ranges": "bytes"}
        asked = self.headers.get("Range")
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
            place = f"bytes {begin}-{end}/{len(content)}"
            self._send(206, content[begin : end + 1], Content_Range=place, **tags)
        else:
            self._send(200, content, **tags)


def _listing(bucket: str, objects: dict[str, bytes], query: dict[str, str]) -> str:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    most = int(query.get("max-keys", "1000"))
    names: dict[str, bytes | None] = {}
    for key in sorted(objects):
        if key.startswith(prefix):
            head, mark, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            names[prefix + head + mark if mark else key] = None if mark else objects[key]
    begin = query.get("continuation-token", "")
    left = [name for name in names if name > begin]
    said = "".join(
        f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
        if (content := names[name]) is None
        else f"<Contents><Key>{escape(name)}</Key><Size>{len(content)}</Size><ETag>{escape(etag(content))}</ETag>"
        f"<LastModified>2024-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
        for name in left[:most]
    )
    more = len(left) > most
    token = f"<NextContinuationToken>{escape(left[most - 1])}</NextContinuationToken>" if more else ""
    shown = f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{min(len(left), most)}</KeyCount>"
    return (
        f"{HEAD}<ListBucketResult>{shown}<IsTruncated>{str(more).lower()}</IsTruncated>{token}{said}</ListBucketResult>"
    )
