"""A local stand-in of the Hugging Face Hub: the parts of its HTTP API that huggingface_hub uses without hf_xet.

It stores repositories in memory: create, preupload, LFS batch and upload, commit, list, and resolve. Like the Hub it
stores large files before they are committed, skips what its .gitignore names, and refuses a card whose YAML is broken.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from huggingface_hub import constants

TOKEN = "hf_of_the_stand_in"
LARGE = (".parquet", ".safetensors")


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=lambda: ["0" * 40])


@dataclass
class Hub:
    """What the stand-in holds, and what it was asked.

    Attributes:
        repositories: by kind and name, such as "datasets/me/css".
        blobs: large files by their SHA-256, committed or not.
        requests: method and path of every request.
        stored: the SHA-256 of each blob in the order in which they came.
        refuse_after: how many blobs are still taken before the stand-in refuses one, as if the connection were lost.
        is_down: whether it answers everything with 503.
        is_shared: whether somebody else commits just before each commit.
    """

    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    refuse_after: int = 10**9
    is_down: bool = False
    is_shared: bool = False


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def handle_any(self) -> None:
        self.body = self.read_body()
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.requests.append(f"{self.command} {path}")
        if self.hub.is_down:
            return self.answer({"error": "maintenance until noon"}, 503)
        for pattern, act in _ROUTES:
            if match := re.fullmatch(pattern, f"{self.command} {path}"):
                return act(self, **match.groupdict())
        return self.answer({"error": f"no such page: {path}"}, 404)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    do_GET = do_POST = do_PUT = do_HEAD = handle_any  # noqa: N815

    def answer(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def repository(self, kind: str, repo: str, *, writes: bool = False) -> Repository | None:
        """The repository, after the checks that the Hub makes; None if they failed, and the answer was sent."""
        found = self.hub.repositories.get(f"{kind or 'models/'}{repo}")
        has_token = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if writes and not has_token:
            self.answer({"error": "Invalid credentials"}, 401)
        elif found is None or (found.private and not has_token):
            self.answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        else:
            return found
        return None

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked.get('type', 'model')}s/{asked['organization']}/{asked['name']}"
        url = f"{self.hub.endpoint}/{name.removeprefix('models/')}"
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer({"error": "Invalid credentials"}, 401)
        elif asked["organization"] != "me":
            self.answer({"error": "You may not write to this namespace"}, 403)
        elif name in self.hub.repositories:
            self.answer({"error": "You already created this repo", "url": url}, 409)
        else:
            self.hub.repositories[name] = Repository(asked.get("visibility") == "private")
            self.answer({"url": url})

    def validate(self) -> None:
        header = re.match(r"---\n(.*?)\n---\n", json.loads(self.body)["content"], re.DOTALL)
        try:
            is_valid = header is not None and isinstance(yaml.safe_load(header[1]), dict)
        except yaml.YAMLError:
            is_valid = False
        errors = [] if is_valid else [{"message": "the metadata is not a mapping in YAML"}]
        self.answer({"errors": errors, "warnings": []}, 400 if errors else 200)

    def preupload(self, kind: str, repo: str) -> None:
        if found := self.repository(kind, repo, writes=True):
            ignored = found.files.get(".gitignore", b"").decode().split()
            self.answer({"files": [
                {"path": path, "uploadMode": "lfs" if path.endswith(LARGE) else "regular",
                 "shouldIgnore": any(fnmatch(path, pattern) for pattern in ignored),
                 "oid": _oid(path, found.files[path]) if path in found.files else None}
                for path in (file["path"] for file in json.loads(self.body)["files"])
            ]})  # fmt: skip

    def batch(self, kind: str, repo: str) -> None:
        if self.repository(kind, repo, writes=True):
            objects = json.loads(self.body)["objects"]
            for each in objects:
                if each["oid"] not in self.hub.blobs:
                    each["actions"] = {"upload": {"href": f"{self.hub.endpoint}/store/{each['oid']}"}}
            self.answer({"transfer": "basic", "objects": objects})

    def store(self, oid: str) -> None:
        if len(self.hub.stored) >= self.hub.refuse_after:
            self.answer({"error": "the connection was lost"}, 400)
        elif hashlib.sha256(self.body).hexdigest() != oid:
            self.answer({"error": "not the content of this hash"}, 400)
        else:
            self.hub.blobs[oid] = self.body
            self.hub.stored.append(oid)
            self.answer({})

    def commit(self, kind: str, repo: str) -> None:
        if found := self.repository(kind, repo, writes=True):
            if self.hub.is_shared:
                found.commits.append("1" * 40)
            files = dict(found.files)
            for line in self.body.decode().splitlines():
                key, value = json.loads(line)["key"], json.loads(line)["value"]
                if key == "header" and value.get("parentCommit", found.commits[-1]) != found.commits[-1]:
                    return self.answer({"error": "a newer commit is there"}, 412)
                if key == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif key == "lfsFile":
                    files[value["path"]] = self.hub.blobs[value["oid"]]
                elif key == "deletedFile":
                    del files[value["path"]]
            found.files = files
            found.commits.append(hashlib.sha1(self.body).hexdigest())
            url = f"{self.hub.endpoint}/{kind}{repo}/commit/{found.commits[-1]}"
            self.answer({"success": True, "commitOid": found.commits[-1], "commitUrl": url})
        return None

    def info(self, kind: str, repo: str) -> None:
        if found := self.repository(kind, repo):
            siblings = [{"rfilename": path} for path in found.files]
            self.answer({"_id": "1", "id": repo, "sha": found.commits[-1], "private": found.private, "tags": [],
                         "siblings": siblings, "downloads": 0, "likes": 0})  # fmt: skip

    def tree(self, kind: str, repo: str, folder: str | None) -> None:
        if found := self.repository(kind, repo):
            start = f"{folder}/" if folder else ""
            listed: dict[str, dict[str, Any]] = {}
            for path, content in found.files.items():
                if path.startswith(start):
                    oid, size = _oid(path, content), len(content)
                    pointer = {"lfs": {"oid": oid, "size": size, "pointerSize": 1}} if path.endswith(LARGE) else {}
                    listed[path] = {"type": "file", "path": path, "size": size, "oid": oid, **pointer}
                    for parent in map(str, PurePosixPath(path).parents):
                        if parent != "." and parent.startswith(start):
                            listed[parent] = {"type": "directory", "path": parent, "size": 0, "oid": "0" * 40}
            is_deep = "recursive=true" in self.path.lower()
            self.answer([each for path, each in listed.items() if is_deep or "/" not in path.removeprefix(start)])

    def resolve(self, kind: str, repo: str, path: str) -> None:
        if found := self.repository(kind, repo):
            if path not in found.files:
                self.answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
                return
            content = found.files[path]
            self.answer(content, headers={"X-Repo-Commit": found.commits[-1], "ETag": f'"{_oid(path, content)}"'})


_KIND = r"(?P<kind>datasets/|models/)"
_PREFIX = r"(?P<kind>datasets/)?"
_REPO = r"(?P<repo>[^/]+/[^/]+)"
_ROUTES = [
    (r"POST api/repos/create", _Handler.create),
    (r"POST api/validate-yaml", _Handler.validate),
    (rf"POST api/{_KIND}{_REPO}/preupload/main", _Handler.preupload),
    (rf"POST {_PREFIX}{_REPO}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT store/(?P<oid>[0-9a-f]{64})", _Handler.store),
    (rf"POST api/{_KIND}{_REPO}/commit/main", _Handler.commit),
    (rf"GET api/{_KIND}{_REPO}(?:/revision/[^/]+)?", _Handler.info),
    (rf"GET api/{_KIND}{_REPO}/tree/[^/]+(?:/(?P<folder>.+))?", _Handler.tree),
    (rf"(?:GET|HEAD) {_PREFIX}{_REPO}/resolve/[^/]+/(?P<path>.+)", _Handler.resolve),
]


def _oid(path: str, content: bytes) -> str:
    """What the Hub names a file by: the SHA-256 of a large one, git's hash of another."""
    if path.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def standing_in(monkeypatch: pytest.MonkeyPatch, cache: object) -> Iterator[Hub]:
    """Start the stand-in, and have huggingface_hub talk to it, with its token and a cache of its own."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
