"""A stand-in for Cloud Storage on loopback, strict where burst relies on it, and faulty on demand.

It keeps in memory what the JSON API says of objects: insert (media, multipart, resumable),
rewrite and copy, compose, delete, each with preconditions on generations, checked in one step
with the deed; listings in pages with ``fields``; media with ranges; metadata; checksums that are
compared on arrival; permissions and tokens. A parameter that it does not know is an error.

`StrictGcs.fail` makes answers get lost after the deed, connections break in a body, bytes
change on their way, and answers be whatever they should be. What fake-gcs-server, the real
program, ignores of this is in docs/reference/storage.md.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.strict_gcs_answers import (
    KNOWN,
    Answer,
    Asked,
    RefusedError,
    Stored,
    checksum,
    only,
    resource,
    shown_range,
    timestamp,
)
from tests.fakes.strict_gcs_wire import Wire

QUANTUM_BYTES = 256 * 1024
"""A resumable upload keeps whole multiples of it."""
PAGE = 1000
"""Names in a page of a listing, at most."""
SOURCES = 32
"""What can be composed at once, at most."""
NOT_MET = "At least one of the pre-conditions you specified did not hold."
CALLER = "artist@example.com"
WORKER = "worker@project.iam.gserviceaccount.com"


@dataclass
class Fault:
    """What goes wrong with requests of one kind, ``times`` times."""

    operation: str
    status: int = 0
    """Answer this instead of doing anything."""
    message: str = ""
    lost: bool = False
    """Do it, and hang up without an answer."""
    cut_after: int | None = None
    """Hang up after so many bytes of the body: the request's where one is sent, or the answer's."""
    damage: bool = False
    """Change a byte of the content on its way in or out."""
    name: str = ""
    """Only for objects whose names hold this."""
    times: int = 1


@dataclass
class Session:
    """A resumable upload."""

    bucket: str
    name: str
    told: dict[str, Any]
    query: dict[str, str]
    content: bytearray = field(default_factory=bytearray)
    finished: Stored | None = None


class StrictGcs:
    """The buckets of one stand-in, and what is to go wrong."""

    def __init__(self, *buckets: str) -> None:
        self.buckets: dict[str, dict[str, Stored]] = {name: {} for name in buckets}
        self.requests: list[Asked] = []
        """Every request that came in, in order."""
        self.denied: set[str] = set()
        """Permissions that the caller does not have."""
        self.token: str | None = None
        """What a request must be signed with; given to who shows a key (`write_key`)."""
        self.has_revoked_keys = False
        self.is_blind = False
        """Takes contents that have another checksum than was said."""
        self.tells_checksums = True
        """With a content; a proxy may take such headers away."""
        self.page = PAGE
        self.rewrite_steps = 1
        """Requests that one rewrite takes."""
        self.endpoint = ""
        self.connections = 0
        """Callers that have not hung up, or have and are still being served."""
        self._faults: list[Fault] = []
        self._sessions: dict[str, Session] = {}
        self._rewrites: dict[str, int] = {}
        self._generation = 1_700_000_000_000_000
        self._lock = threading.RLock()

    def fail(self, operation: str, **how: Any) -> Fault:
        """Have requests of a kind fail as `Fault` says."""
        fault = Fault(operation, **how)
        self._faults.append(fault)
        return fault

    def count_connection(self, change: int) -> None:
        """Note that somebody has come, or gone."""
        with self._lock:
            self.connections += change

    def heal(self) -> None:
        """Take back every fault."""
        self._faults.clear()

    def asked(self, operation: str) -> list[Asked]:
        """Return the requests of one kind."""
        return [one for one in self.requests if one.operation == operation]

    def fault(self, asked: Asked) -> Fault | None:
        """Note a request, and return what is to go wrong with it."""
        with self._lock:
            self.requests.append(asked)
            for fault in self._faults:
                if fault.times and fault.operation == asked.operation and fault.name in asked.name:
                    fault.times -= 1
                    return fault
        return None

    def grant(self) -> Answer:
        """Answer who shows a key."""
        if self.has_revoked_keys:
            error = {"error": "invalid_grant", "error_description": "Token has been revoked."}
            return replace(Answer.of(error), status=400)
        return Answer.of({"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"})

    def write_key(self, path: Path) -> None:
        """Write the key of a service account that asks here for its tokens."""
        secret = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        key = {
            "type": "service_account",
            "client_email": WORKER,
            "private_key_id": "1",
            "private_key": secret.decode(),
            "project_id": "project",
            "token_uri": f"{self.endpoint}/token",
        }
        path.write_text(json.dumps(key))

    def session_name(self, asked: Asked) -> str:
        """Return the name of the object that a chunk belongs to."""
        session = self._sessions.get(asked.query.get("upload_id", ""))
        return session.name if session else ""

    def answer(self, asked: Asked, body: bytes) -> Answer:
        """Do what is asked; of several at once each is done in one step."""
        unknown = set(asked.query) - KNOWN
        if unknown:
            raise RefusedError(400, f"Unknown name {sorted(unknown)}: this stand-in has no such")
        if self.token is not None and asked.headers.get("authorization") != f"Bearer {self.token}":
            raise RefusedError(401, "Invalid Credentials")
        with self._lock:
            if asked.bucket not in self.buckets:
                raise RefusedError(404, "The specified bucket does not exist.")
            return getattr(self, f"_{asked.operation}")(asked, body)

    def _look(self, asked: Asked, _body: bytes) -> Answer:
        self._allow("get")
        return Answer.of(self._resource(asked, self._live(asked)))

    def _media(self, asked: Asked, _body: bytes) -> Answer:
        self._allow("get")
        stored = self._live(asked)
        self._check(asked.query, stored)
        content, status, told = shown_range(stored.content, asked.headers.get("range", ""))
        headers = {
            "Content-Type": stored.told.get("contentType", "application/octet-stream"),
            "X-Goog-Generation": str(stored.generation),
            **(
                {"X-Goog-Hash": f"crc32c={checksum(stored.content)}"}
                if self.tells_checksums
                else {}
            ),
            "X-Goog-Stored-Content-Length": str(len(stored.content)),
            "X-Goog-Stored-Content-Encoding": "identity",
            **told,
        }
        return Answer(status, content, headers)

    def _list(self, asked: Asked, _body: bytes) -> Answer:
        self._allow("list", "bucket")
        query = asked.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        items: list[Any] = []
        folders: list[str] = []
        last = ""
        limit = min(int(query.get("maxResults", PAGE)), self.page)
        more = False
        for name in sorted(self.buckets[asked.bucket], key=str.encode):
            if not _is_wanted(name, query) or (folders and name.startswith(folders[-1])):
                continue
            folder, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if len(items) + len(folders) == limit:
                more = True
                break
            last = name
            if cut:
                folders.append(prefix + folder + cut)
                last = folders[-1] + "\U0010ffff"
            else:
                items.append(self._resource(asked, self.buckets[asked.bucket][name]))
        page: dict[str, Any] = {"kind": "storage#objects"}
        page |= {"items": items} if items else {}
        page |= {"prefixes": folders} if folders else {}
        page |= {"nextPageToken": last.encode().hex()} if more else {}
        return Answer.of(only(page, query.get("fields")))

    def _bucket(self, asked: Asked, _body: bytes) -> Answer:
        self._allow("get", "bucket", "storage.buckets")
        return Answer.of({"kind": "storage#bucket", "name": asked.bucket})

    def _insert(self, asked: Asked, body: bytes) -> Answer:
        told, content = asked.parts(body)
        return Answer.of(
            self._resource(asked, self._write(asked.bucket, asked.name, told, content, asked.query))
        )

    def _start(self, asked: Asked, body: bytes) -> Answer:
        told = json.loads(body or b"{}")
        # Looked at twice: at the start, to spare the bytes, and at the end, when it counts.
        self._check(asked.query, self.buckets[asked.bucket].get(asked.name))
        self._allow("create")
        key = f"session-{len(self._sessions)}"
        self._sessions[key] = Session(asked.bucket, asked.name, told, asked.query)
        where = f"{self.endpoint}/upload/storage/v1/b/{asked.bucket}/o"
        return Answer(200, b"", {"Location": f"{where}?uploadType=resumable&upload_id={key}"})

    def _chunk(self, asked: Asked, body: bytes) -> Answer:
        session = self._sessions.get(asked.query["upload_id"])
        if session is None:
            raise RefusedError(410, "The upload session is gone.")
        if session.finished is None:
            self._continue(session, asked, body)
        if session.finished is not None:
            return Answer.of(self._resource(asked, session.finished))
        kept = len(session.content)
        return Answer(308, b"", {"Range": f"bytes=0-{kept - 1}"} if kept else {})

    def _continue(self, session: Session, asked: Asked, body: bytes) -> None:
        sent, _, total = asked.headers["content-range"].removeprefix("bytes ").partition("/")
        if sent != "*":
            first = int(sent.partition("-")[0])
            if first > len(session.content):
                raise RefusedError(400, "The offset exceeds what is uploaded already.")
            is_last = total != "*" and first + len(body) == int(total)
            if not is_last and not asked.is_cut and len(body) % QUANTUM_BYTES:
                raise RefusedError(400, "A chunk must be a multiple of 256 KiB.")
            # What is there already is kept, whatever comes in its place.
            session.content += body[len(session.content) - first :]
            if asked.is_cut:
                del session.content[len(session.content) // QUANTUM_BYTES * QUANTUM_BYTES :]
        if total != "*" and len(session.content) == int(total):
            session.finished = self._write(
                session.bucket, session.name, session.told, bytes(session.content), session.query
            )

    def _copy(self, asked: Asked, body: bytes) -> Answer:
        self._allow("get")
        source = self._live(replace(asked, name=asked.source, query=_source_query(asked.query)))
        self._check(_source_query(asked.query), source)
        told = json.loads(body or b"{}") or source.told
        token = asked.query.get("rewriteToken", f"rewrite-{len(self._rewrites)}")
        self._rewrites[token] = self._rewrites.get(token, 0) + 1
        progress = {"kind": "storage#rewriteResponse", "objectSize": str(len(source.content))}
        if asked.is_rewrite and self._rewrites[token] < self.rewrite_steps:
            self._check(asked.query, self.buckets[asked.bucket].get(asked.name))
            return Answer.of(
                {**progress, "done": False, "totalBytesRewritten": "0", "rewriteToken": token}
            )
        written = self._write(asked.bucket, asked.name, told, source.content, asked.query)
        shown = self._resource(asked, written)
        if not asked.is_rewrite:
            return Answer.of(shown)
        done = {"done": True, "totalBytesRewritten": str(len(source.content)), "resource": shown}
        return Answer.of({**progress, **done})

    def _compose(self, asked: Asked, body: bytes) -> Answer:
        self._allow("get")
        told = json.loads(body)
        if not 1 <= len(told["sourceObjects"]) <= SOURCES:
            raise RefusedError(400, "The number of source components must be from 1 to 32.")
        content = b""
        for one in told["sourceObjects"]:
            wanted = {k: str(v) for k, v in one.items() if k == "generation"}
            part = self._live(replace(asked, name=one["name"], query=wanted))
            needed = one.get("objectPreconditions", {})
            self._check({k: str(v) for k, v in needed.items()}, part)
            content += part.content
        return Answer.of(
            self._resource(
                asked,
                self._write(
                    asked.bucket, asked.name, told.get("destination", {}), content, asked.query
                ),
            )
        )

    def _delete(self, asked: Asked, _body: bytes) -> Answer:
        self._allow("delete")
        self._check(asked.query, self._live(asked))
        del self.buckets[asked.bucket][asked.name]
        return Answer(204)

    def _write(
        self, bucket: str, name: str, told: dict[str, Any], content: bytes, query: dict[str, str]
    ) -> Stored:
        objects = self.buckets[bucket]
        if not name or len(name.encode()) > 1024 or {"\r", "\n"} & set(name):
            raise RefusedError(400, "Invalid object name.")
        self._check(query, objects.get(name))
        self._allow("create")
        if name in objects:
            self._allow("delete")
        meant = told.get("crc32c")
        if meant is not None and meant != checksum(content) and not self.is_blind:
            raise RefusedError(
                400, f'Provided CRC32C "{meant}" doesn\'t match calculated "{checksum(content)}".'
            )
        self._generation += 1
        objects[name] = Stored(name, content, told, self._generation, timestamp())
        return objects[name]

    def _live(self, asked: Asked) -> Stored:
        stored = self.buckets[asked.bucket].get(asked.name)
        wanted = asked.query.get("generation")
        if stored is None or (wanted is not None and int(wanted) != stored.generation):
            raise RefusedError(404, f"No such object: {asked.bucket}/{asked.name}")
        return stored

    def _check(self, query: dict[str, str], stored: Stored | None) -> None:
        wanted = query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != (stored.generation if stored else 0):
            raise RefusedError(412, NOT_MET)

    def _allow(self, verb: str, what: str = "object", family: str = "storage.objects") -> None:
        permission = f"{family}.{verb}"
        if permission in self.denied:
            raise RefusedError(
                403,
                f"{CALLER} does not have {permission} access to the Google Cloud Storage {what}. "
                f"Permission '{permission}' denied on resource (or it may not exist).",
            )

    def _resource(self, asked: Asked, stored: Stored) -> dict[str, Any]:
        whole = resource(asked.bucket, stored)
        return whole if asked.operation == "list" else only(whole, asked.query.get("fields"))


def _is_wanted(name: str, query: dict[str, str]) -> bool:
    after = bytes.fromhex(query.get("pageToken", "")).decode()
    return (
        name.startswith(query.get("prefix", ""))
        and (not after or name.encode() > after.encode())
        and name.encode() >= query.get("startOffset", "").encode()
        and ("endOffset" not in query or name.encode() < query["endOffset"].encode())
    )


def _source_query(query: dict[str, str]) -> dict[str, str]:
    names = {"sourceGeneration": "generation", "ifSourceGenerationMatch": "ifGenerationMatch"}
    return {names[name]: value for name, value in query.items() if name in names}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    gcs: StrictGcs

    def process_request(self, request: Any, client_address: Any) -> None:
        self.gcs.count_connection(1)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.gcs.count_connection(-1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that hang up are part of the game.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def running_strict_gcs(*buckets: str) -> Iterator[StrictGcs]:
    """Run a stand-in with these buckets on a free port of loopback."""
    gcs = StrictGcs(*(buckets or ("farm",)))
    handler = type("Handler", (Wire,), {"gcs": gcs})
    server = _Server(("127.0.0.1", 0), handler)
    server.gcs = gcs
    gcs.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield gcs
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
