"""A small Hugging Face Hub on loopback, faithful enough for the real clients: create, upload, tag, load, stream.

    with loopback_hub({"hf_ada": "ada"}) as hub:
        subprocess.run(command, env=hub.environment(home, token="hf_ada"))
        hub.files("dataset", "ada/parallelbench", "v1.0.0")

Repositories live in memory. Everyone may read; a token may write to the repositories of its user alone. Parquet and
safetensors files go through LFS, as on the Hub. What it leaves out: private repositories, xet, checks of a card's YAML,
running a Space.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

NOW = "2026-01-01T00:00:00.000Z"
Files = dict[str, bytes]


@dataclass
class Repository:
    """The commits of one repository, newest last, and what its branches and tags point to."""

    kind: str
    name: str
    sdk: str | None
    commits: dict[str, Files] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, title: str) -> str:
        sha = hashlib.sha1(f"{self.kind} {self.name} {len(self.commits)}".encode()).hexdigest()
        self.commits[sha], self.titles[sha], self.refs["main"] = dict(files), title, sha
        return sha

    def resolve(self, revision: str) -> str:
        sha = self.refs.get(revision, revision)
        if sha not in self.commits:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha

    def info(self, revision: str) -> dict[str, Any]:
        sha = self.resolve(revision)
        content = {
            "_id": sha[:24],
            "id": self.name,
            "author": self.name.split("/")[0],
            "sha": sha,
            "lastModified": NOW,
            "createdAt": NOW,
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [{"rfilename": path} for path in sorted(self.commits[sha])],
        }
        return content | ({"sdk": self.sdk} if self.sdk else {})


class Refusal(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str = "", commit: str | None = None) -> None:
        super().__init__(message or code)
        self.status, self.code, self.commit = status, code, commit


class LoopbackHub(ThreadingHTTPServer):
    """The server: `url`, `log` of (method, path, status), and the repositories by (kind, name)."""

    daemon_threads = True

    def __init__(self, tokens: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.tokens = dict(tokens)
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.stored: Files = {}
        self.log: list[tuple[str, str, int]] = []
        # Uploads that are answered before all others wait; None: all are.
        self.uploads_before_stall: int | None = None
        self.stalled = threading.Event()
        # Files are uploaded side by side, and counted one after the other.
        self.storing = threading.Lock()
        # File name → bytes after which its first download breaks off; and every (path, range) asked for.
        self.cut_after: dict[str, int] = {}
        self.ranges: list[tuple[str, str]] = []
        # Name of a repository → what everyone who asks for it is told.
        self.refusals: dict[str, Refusal] = {}

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """The environment for a client of this Hub and of no other, with its caches and settings in `home`."""
        variables = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return kept | variables | ({"HF_TOKEN": token} if token else {})

    def files(self, kind: str, name: str, revision: str = "main") -> Files:
        """Path → content at a revision."""
        repository = self.repositories[kind, name]
        return repository.commits[repository.resolve(revision)]

    def repository(self, kind: str, name: str) -> Repository:
        if name in self.refusals:
            raise self.refusals[name]
        try:
            return self.repositories[kind, name]
        except KeyError:
            raise Refusal(404, "RepoNotFound", "Repository not found") from None


@contextmanager
def loopback_hub(tokens: Mapping[str, str]) -> Iterator[LoopbackHub]:
    """A running Hub that knows these tokens and their users."""
    hub = LoopbackHub(tokens)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


_NAME = r"(?P<name>[^/]+/[^/]+?)"
_API = re.compile(
    rf"/api/(?P<kind>model|dataset|space)s/{_NAME}"
    r"(?:/(?P<verb>preupload|commits?|tag|tree|paths-info|refs|revision)(?:/(?P<rest>.*))?)?"
)
_FILE = re.compile(rf"/(?:(?P<kind>dataset|space)s/)?{_NAME}/(?:resolve|raw)/(?P<revision>[^/]+)/(?P<path>.+)")
_LFS = re.compile(rf"/(?:(?P<kind>dataset|space)s/)?{_NAME}\.git/info/lfs/objects/batch")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LoopbackHub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        try:
            body = self._read_body()
            self._route(urlsplit(self.path), body)
        except Refusal as refusal:
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": str(refusal)}
            if refusal.commit:
                headers["X-Repo-Commit"] = refusal.commit
            self._answer({"error": str(refusal)}, refusal.status, headers)
        except ConnectionError:  # the client was killed
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, content: Any, status: int = 200, headers: Mapping[str, Any] | None = None) -> None:
        raw = isinstance(content, bytes)
        data = content if raw else json.dumps(content).encode()
        # Logged first: a client may look as soon as it has its answer.
        self.server.log.append((self.command, self.path, status))
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if raw else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for key, value in (headers or {}).items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _user(self) -> str:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.server.tokens:
            raise Refusal(401, "", "Invalid username or password.")
        return self.server.tokens[token]

    def _check_write(self, name: str) -> None:
        user = self._user()
        if name.split("/")[0] != user:
            raise Refusal(403, "", f"Forbidden: {user} has no write access to {name}.")

    def _route(self, url: Any, body: bytes) -> None:
        hub = self.server
        if url.path == "/api/whoami-v2":
            user = self._user()
            auth = {"accessToken": {"role": "write", "displayName": "test"}}
            self._answer({"type": "user", "id": "0", "name": user, "fullname": user, "orgs": [], "auth": auth})
        elif url.path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif url.path == "/api/repos/create":
            self._create(json.loads(body))
        elif match := _LFS.fullmatch(url.path):
            self._check_write(match["name"])
            self._answer(
                {"transfer": "basic", "objects": [self._upload_place(item) for item in json.loads(body)["objects"]]}
            )
        elif url.path.startswith("/_lfs/"):
            self._store(url.path.removeprefix("/_lfs/"), body)
        elif match := _API.fullmatch(url.path):
            self._api(match, parse_qs(url.query), body)
        elif match := _FILE.fullmatch(url.path):
            repository = hub.repository(match["kind"] or "model", match["name"])
            self._send_file(repository, unquote(match["revision"]), unquote(match["path"]))
        else:
            raise Refusal(404, "EntryNotFound", f"nothing at {url.path}")

    def _create(self, wanted: dict[str, Any]) -> None:
        kind, hub = wanted.get("type", "model"), self.server
        name = f"{wanted.get('organization') or self._user()}/{wanted['name']}"
        self._check_write(name)
        answer = {"url": f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{name}", "name": name, "id": "0"}
        if (kind, name) in hub.repositories:
            return self._answer(answer | {"error": "You already created this repo"}, 409)
        repository = hub.repositories[kind, name] = Repository(kind, name, wanted.get("sdk"))
        repository.commit({".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"}, "initial commit")
        return self._answer(answer)

    def _upload_place(self, item: dict[str, Any]) -> dict[str, Any]:
        if item["oid"] in self.server.stored:
            return item
        return item | {"actions": {"upload": {"href": f"{self.server.url}/_lfs/{item['oid']}", "header": {}}}}

    def _store(self, oid: str, data: bytes) -> None:
        hub = self.server
        if hashlib.sha256(data).hexdigest() != oid:
            raise Refusal(400, "", "the content does not have this hash")
        with hub.storing:
            stalls = hub.uploads_before_stall is not None and len(hub.stored) >= hub.uploads_before_stall
            if not stalls:
                hub.stored[oid] = data
        if stalls:
            hub.stalled.set()
            self.rfile.read(1)  # waits until the client goes away
            self.close_connection = True
            return
        self._answer({})

    def _send_file(self, repository: Repository, revision: str, path: str) -> None:
        sha = repository.resolve(revision)
        data = repository.commits[sha].get(path)
        if data is None:
            raise Refusal(404, "EntryNotFound", "Entry not found", commit=sha)
        headers = {"X-Repo-Commit": sha, "ETag": f'"{_oid(path, data)}"', "Accept-Ranges": "bytes"}
        if _is_lfs(path):
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(data))}
        if self.command == "GET":
            self.server.ranges.append((path, self.headers.get("Range", "")))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted and self.command == "GET" and path in self.server.cut_after:
            return self._break_off(data, self.server.cut_after.pop(path), headers)
        if not wanted:
            return self._answer(data, headers=headers)
        first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return self._answer(data[first : last + 1], 206, headers)

    def _break_off(self, data: bytes, sent: int, headers: Mapping[str, Any]) -> None:
        """Promise all of `data`, send the beginning, and hang up."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        for key, value in headers.items():
            self.send_header(key, str(value))
        self.end_headers()
        self.wfile.write(data[:sent])
        self.close_connection = True

    def _api(self, match: re.Match[str], query: dict[str, list[str]], body: bytes) -> None:
        repository = self.server.repository(match["kind"], match["name"])
        verb, rest = match["verb"], match["rest"] or ""
        if self.command == "POST" and verb != "paths-info":
            self._check_write(repository.name)
        if verb in (None, "revision"):
            return self._answer(repository.info(unquote(rest) or "main"))
        if verb == "refs":
            return self._answer(_refs(repository))
        if verb == "commits":
            entries = [
                {"id": sha, "title": title, "message": "", "date": NOW, "authors": []}
                for sha, title in repository.titles.items()
            ]
            return self._answer(entries[::-1])
        if verb == "tag":
            wanted = json.loads(body)
            if wanted["tag"] in repository.refs:
                raise Refusal(409, "", f"Reference refs/tags/{wanted['tag']} already exists")
            repository.refs[wanted["tag"]] = repository.resolve(unquote(rest))
            return self._answer({})
        revision, _, prefix = rest.partition("/")
        sha = repository.resolve(unquote(revision))
        if verb == "preupload":
            return self._answer(
                {"files": [_preupload(entry["path"], repository.commits[sha]) for entry in json.loads(body)["files"]]}
            )
        if verb == "commit":
            return self._commit(repository, sha, body)
        if verb == "tree":
            recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
            return self._answer(_tree(repository.commits[sha], unquote(prefix), recursive))
        paths = json.loads(body)["paths"] if body[:1] == b"{" else parse_qs(body.decode())["paths"]
        files = repository.commits[sha]
        entries = _tree(files, "", recursive=True)
        return self._answer([entry for entry in entries if entry["path"] in paths])

    def _commit(self, repository: Repository, head: str, body: bytes) -> None:
        files, title = dict(repository.commits[head]), ""
        for line in body.splitlines():
            operation = json.loads(line)
            kind, value = operation["key"], operation["value"]
            if kind == "header":
                title = value["summary"]
                if value.get("parentCommit", head) != head:
                    raise Refusal(412, "", "A commit has happened since. Please refresh and try again.")
            elif kind == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif kind == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
            elif kind == "deletedFile":
                del files[value["path"]]
            else:
                raise Refusal(400, "", f"unknown operation {kind}")
        sha = repository.commit(files, title)
        url = f"{self.server.url}/{repository.kind}s/{repository.name}/commit/{sha}"
        self._answer({"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""})


def _is_lfs(path: str) -> bool:
    return path.endswith((".parquet", ".safetensors"))


def _oid(path: str, data: bytes) -> str:
    """What identifies a file's content: SHA-256 for LFS, the git blob's SHA-1 for others."""
    if _is_lfs(path):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _preupload(path: str, files: Files) -> dict[str, Any]:
    oid = _oid(path, files[path]) if path in files else None
    return {"path": path, "shouldIgnore": False, "uploadMode": "lfs" if _is_lfs(path) else "regular", "oid": oid}


def _refs(repository: Repository) -> dict[str, Any]:
    def entry(name: str, folder: str) -> dict[str, str]:
        return {"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": repository.refs[name]}

    tags = [entry(name, "tags") for name in repository.refs if name != "main"]
    return {"branches": [entry("main", "heads")], "tags": tags, "converts": [], "pullRequests": []}


def _tree(files: Files, prefix: str, recursive: bool) -> list[dict[str, Any]]:
    prefix = prefix.strip("/")
    inside = [path for path in sorted(files) if not prefix or path.startswith(prefix + "/")]
    if prefix and not inside:
        raise Refusal(404, "EntryNotFound", f"{prefix} does not exist")
    entries: dict[str, dict[str, Any]] = {}
    start = len(prefix) + 1 if prefix else 0
    for path in inside:
        parents = [path[:end] for end in range(start + 1, len(path)) if path[end] == "/"]
        for folder in parents if recursive else parents[:1]:
            entries[folder] = {"type": "directory", "path": folder, "size": 0, "oid": "0" * 40}
        if recursive or not parents:
            data = files[path]
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entries[path] = {"type": "file", "path": path, "size": len(data), "oid": blob}
            if _is_lfs(path):
                entries[path]["oid"] = "f" * 40  # the blob is a pointer
                entries[path]["lfs"] = {"oid": _oid(path, data), "size": len(data), "pointerSize": 130}
    return list(entries.values())
