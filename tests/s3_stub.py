# SPDX-License-Identifier: Apache-2.0
"""A server on the loopback address with as much of S3 as stores that are not AWS have; it records every call."""

from __future__ import annotations

import base64
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

PART_BYTES = 8 << 20
COPY_BYTES = 100_000_000


class Object(NamedTuple):
    data: bytes
    changed_at: datetime

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.data).hexdigest()}"'


class Stub:
    """
    One bucket called ``bucket``.

    ``objects`` is what is in it, ``uploads`` what is half uploaded, ``calls`` the name and key of every call, and
    ``refuse`` the calls that are answered with 403, by name; ``broken`` those that are answered with 400, and
    ``break_after`` those that are after so many. ``loses`` says how many bytes get lost of an object that is put,
    ``takes_checksums`` whether the checksums that newer AWS libraries add are taken, ``takes_paths`` whether the
    bucket may stand in the path and not in the host's name, ``is_write_once`` whether what is there cannot be
    replaced, ``hidden`` how often what is there is shown as missing, ``silent`` how many completed uploads are not
    answered.
    """

    def __init__(self) -> None:
        self.url = ""
        self.objects: dict[str, Object] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.calls: list[tuple[str, str]] = []
        self.sizes: list[int] = []
        self.refuse: set[str] = set()
        self.broken: set[str] = set()
        self.break_after: dict[str, int] = {}
        self.loses = 0
        self.takes_checksums = True
        self.takes_paths = True
        self.is_write_once = False
        self.hidden = 0
        self.silent = 0
        self.lock = threading.Lock()

    def names(self, key: str = "") -> list[str]:
        """Give the names of the calls for one key, or of all."""
        return [name for name, of in self.calls if key in ("", of)]

    def put(self, key: str, data: bytes) -> None:
        """Put an object there without a call."""
        self.objects[key] = Object(data, datetime.now(UTC))

    def forget(self) -> None:
        """Begin with an empty bucket and no calls."""
        url = self.url
        self.__init__()  # type: ignore[misc]
        self.url = url


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


def _handler(stub: Stub) -> type[http.server.BaseHTTPRequestHandler]:  # noqa: C901 - one method for each call
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, body: str | bytes = b"", **headers: str) -> None:
            data = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            # A proxy is asked for a whole URL.
            path, _, query_text = re.sub(r"^http://[^/]+", "", self.path).partition("?")
            is_virtual = self.headers["Host"].startswith("bucket.")
            bucket, _, key = ("bucket/" * is_virtual + unquote(path.removeprefix("/"))).partition("/")
            query = {name: values[0] for name, values in parse_qs(query_text, keep_blank_values=True).items()}
            try:
                name = self.name(key, query)
                with stub.lock:
                    stub.calls.append((name, key))
                    if name in stub.refuse:
                        raise Refused(403, "AccessDenied")
                    if name in stub.broken or stub.names().count(name) > stub.break_after.get(name, 1 << 30):
                        raise Refused(400, "InvalidRequest")
                    if not stub.takes_checksums and any(
                        one.lower().startswith("x-amz-checksum") for one in self.headers
                    ):
                        raise Refused(400, "InvalidArgument")
                    if not is_virtual and not stub.takes_paths:
                        raise Refused(403, "SecondLevelDomainForbidden")
                    if bucket != "bucket":
                        raise Refused(404, "NoSuchBucket")
                    getattr(self, f"do_{name}")(key, query, body)
            except Refused as refused:
                self.answer(refused.status, f"<Error><Code>{refused.code}</Code><Message>no</Message></Error>")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve

        def name(self, key: str, query: dict[str, str]) -> str:
            names = {
                "HEAD": "HeadObject" if key else "HeadBucket",
                "GET": "GetObject" if key else "ListObjectsV2",
                "PUT": "UploadPart" if "partNumber" in query else "PutObject",
                "POST": "CompleteMultipartUpload" if "uploadId" in query else "CreateMultipartUpload",
                "DELETE": "AbortMultipartUpload" if "uploadId" in query else "DeleteObject",
            }
            if self.command == "POST" and "delete" in query:
                return "DeleteObjects"
            if self.command == "PUT" and "x-amz-copy-source" in self.headers:
                return "UploadPartCopy" if "partNumber" in query else "CopyObject"
            return names[self.command]

        def found(self, key: str) -> Object:
            if key not in stub.objects:
                raise Refused(404, "NoSuchKey")
            return stub.objects[key]

        def do_HeadBucket(self, *_: object) -> None:
            self.answer(200)

        def do_HeadObject(self, key: str, *_: object) -> None:
            found = self.found(key)
            if stub.hidden:
                stub.hidden -= 1
                raise Refused(404, "NoSuchKey")
            changed = format_datetime(found.changed_at, usegmt=True)
            self.answer(200, ETag=found.etag, Last_Modified=changed, Content_Length=str(len(found.data)))

        def do_GetObject(self, key: str, *_: object) -> None:
            found = self.found(key)
            headers = {"ETag": found.etag, "Last_Modified": format_datetime(found.changed_at, usegmt=True)}
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if asked is None:
                return self.answer(200, found.data, **headers)
            start, end = int(asked[1]), min(int(asked[2] or len(found.data)), len(found.data) - 1)
            if start > end:
                raise Refused(416, "InvalidRange")
            self.answer(
                206, found.data[start : end + 1], Content_Range=f"bytes {start}-{end}/{len(found.data)}", **headers
            )

        def do_ListObjectsV2(self, _: str, query: dict[str, str], __: bytes) -> None:
            prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
            keys, folders = [], set()
            for key in sorted(stub.objects):
                if key.startswith(prefix):
                    head, cut, _rest = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
                    folders.add(prefix + head + cut) if cut else keys.append(key)
            contents = "".join(
                f"<Contents><Key>{quoted(key)}</Key><Size>{len(stub.objects[key].data)}</Size>"
                f"<LastModified>{stub.objects[key].changed_at:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
                for key in keys
            )
            common = "".join(f"<CommonPrefixes><Prefix>{quoted(one)}</Prefix></CommonPrefixes>" for one in folders)
            count = f"<KeyCount>{len(keys) + len(folders)}</KeyCount><EncodingType>url</EncodingType>"
            self.answer(200, f"<ListBucketResult>{count}{contents}{common}</ListBucketResult>")

        def do_PutObject(self, key: str, _: object, body: bytes) -> None:
            if stub.is_write_once and key in stub.objects:
                raise Refused(403, "AccessDenied")
            stub.put(key, body[: len(body) - stub.loses])
            self.answer(200, ETag=stub.objects[key].etag)

        def do_DeleteObject(self, key: str, *_: object) -> None:
            stub.objects.pop(key, None)
            self.answer(204)

        def do_DeleteObjects(self, _: str, __: object, body: bytes) -> None:
            given = hashlib.md5(body).digest()
            if self.headers.get("Content-MD5") != base64.b64encode(given).decode():
                raise Refused(400, "MissingArgument")
            for element in ElementTree.fromstring(body).iter():
                if element.tag.endswith("Key"):
                    stub.objects.pop(element.text or "", None)
            self.answer(200, "<DeleteResult></DeleteResult>")

        def do_CopyObject(self, key: str, *_: object) -> None:
            source = self.found(unquote(self.headers["x-amz-copy-source"]).removeprefix("/").partition("/")[2])
            if len(source.data) > COPY_BYTES:
                raise Refused(400, "EntityTooLarge")
            stub.put(key, source.data)
            self.answer(200, f"<CopyObjectResult><ETag>{source.etag}</ETag></CopyObjectResult>")

        def do_CreateMultipartUpload(self, key: str, *_: object) -> None:
            upload = f"upload-{len(stub.calls)}"
            stub.uploads[upload] = {}
            names = f"<Bucket>bucket</Bucket><Key>{escape(key)}</Key><UploadId>{upload}</UploadId>"
            self.answer(200, f"<InitiateMultipartUploadResult>{names}</InitiateMultipartUploadResult>")

        def parts(self, query: dict[str, str]) -> dict[int, bytes]:
            if query["uploadId"] not in stub.uploads:
                raise Refused(404, "NoSuchUpload")
            return stub.uploads[query["uploadId"]]

        def do_UploadPart(self, _: str, query: dict[str, str], body: bytes) -> None:
            if len(body) > PART_BYTES:
                raise Refused(400, "InvalidPartSize")
            self.parts(query)[int(query["partNumber"])] = body
            stub.sizes.append(len(body))
            self.answer(200, ETag=Object(body, datetime.now(UTC)).etag)

        def do_CompleteMultipartUpload(self, key: str, query: dict[str, str], _: bytes) -> None:
            numbered = self.parts(query)
            parts = [numbered[number] for number in sorted(numbered)]
            if list(numbered) != list(range(1, len(parts) + 1)) or any(len(part) != PART_BYTES for part in parts[:-1]):
                raise Refused(400, "InvalidPartSize")
            del stub.uploads[query["uploadId"]]
            stub.put(key, b"".join(parts))
            if stub.silent:
                stub.silent -= 1
                self.close_connection = True
                return
            names = f"<Bucket>bucket</Bucket><Key>{escape(key)}</Key><ETag>{stub.objects[key].etag}</ETag>"
            self.answer(200, f"<CompleteMultipartUploadResult>{names}</CompleteMultipartUploadResult>")

        def do_AbortMultipartUpload(self, _: str, query: dict[str, str], __: bytes) -> None:
            self.parts(query)
            del stub.uploads[query["uploadId"]]
            self.answer(204)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def quoted(key: str) -> str:
    return escape(quote(key))


@contextmanager
def running() -> Iterator[Stub]:
    stub = Stub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(stub))
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
