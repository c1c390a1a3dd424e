"""A model Hub on the loopback interface, as far as huggingface_hub's client uses one, which can be told to fail.

It keeps commits as mappings of names to contents. Large files travel by Git LFS (basic transfer), small ones within the
commit. Faults are given by step, and happen once each, in their order.
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

TOKEN = "hf_loopbackTokenOfNobody000000000000"
LARGE = 4_000


@dataclass
class Repository:
    private: bool
    gated: str | bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    parents: dict[str, str | None] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    head: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)

    def commit(self, files, message):
        oid = hashlib.sha1(f"{len(self.commits)}{sorted(files)}{message}".encode()).hexdigest()
        self.commits[oid], self.parents[oid], self.messages[oid] = files, self.head or None, message
        self.head = oid
        return oid

    @property
    def main(self):
        return self.commits[self.head]


class LoopbackHub:
    """`with LoopbackHub() as hub:` serves at `hub.endpoint`; `hub.faults[step]` lists what goes wrong there."""

    def __init__(self):
        self.repositories = {}
        self.faults = defaultdict(list)
        self.requests = []
        self.received = []
        self.log = []
        self.lock = threading.RLock()
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.waiting = threading.Event()

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.waiting.set()
        self.server.shutdown()
        self.server.server_close()

    def count(self, step):
        return self.requests.count(step)


STEPS = [
    ("create", "POST", r"/api/repos/create"),
    ("validate", "POST", r"/api/validate-yaml"),
    ("preupload", "POST", r"/api/models/(?P<repo>[^/]+/[^/]+)/preupload/(?P<revision>[^/]+)"),
    ("commit", "POST", r"/api/models/(?P<repo>[^/]+/[^/]+)/commit/(?P<revision>[^/]+)"),
    ("tag", "POST", r"/api/models/(?P<repo>[^/]+/[^/]+)/tag/(?P<revision>[^/]+)"),
    ("settings", "PUT", r"/api/models/(?P<repo>[^/]+/[^/]+)/settings"),
    ("refs", "GET", r"/api/models/(?P<repo>[^/]+/[^/]+)/refs"),
    ("tree", "GET", r"/api/models/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)(/(?P<path>.*))?"),
    ("info", "GET", r"/api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?"),
    ("batch", "POST", r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch"),
    ("upload", "PUT", r"/lfs/(?P<repo>[^/]+/[^/]+)/(?P<oid>[0-9a-f]{64})"),
    ("verify", "POST", r"/lfs/(?P<repo>[^/]+/[^/]+)/verify"),
    ("resolve", "(GET|HEAD)", r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)"),
]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet; otherwise each answer waits for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    hub = None

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError):  # the client was killed, as some tests want it
            super().handle()

    def answer(self, status=200, content=b"", **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def respond(self):
        path = unquote(urlparse(self.path).path)
        step, match = next(
            (name, found)
            for name, method, pattern in STEPS
            if re.fullmatch(method, self.command) and (found := re.fullmatch(pattern, path))
        )
        hub = self.hub
        hub.requests.append(step)
        size = int(self.headers.get("Content-Length", 0))
        fault = hub.faults[step].pop(0) if hub.faults[step] else None
        if fault == "drop":
            # In the middle of what the client sends, or before it reads an answer.
            self.rfile.read(size // 2)
            self.close_connection = True
            return
        body = self.rfile.read(size)
        hub.received.append(body)
        if fault == "hang":
            hub.log.append(f"hangs in {step}")
            hub.waiting.wait(60)
            self.close_connection = True
            return
        if isinstance(fault, tuple):
            status, headers = fault
            self.answer(status, {"error": f"injected {status}"}, **headers)
            return
        if isinstance(fault, int):
            self.answer(fault, {"error": f"injected {fault}"})
            return
        if callable(fault):
            fault(hub)
        if step != "upload" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, {"error": "Invalid credentials in Authorization header"})
            return
        with hub.lock:
            repository = hub.repositories.get(match.groupdict().get("repo"))
            if repository is None and step not in ("create", "validate"):
                self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
                return
            result = getattr(self, f"on_{step}")(repository, match.groupdict(), body)
        if fault == "lose answer":
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(0.5)
        self.answer(*result[:2], **(result[2] if len(result) > 2 else {}))

    do_GET = do_POST = do_PUT = do_HEAD = respond  # noqa: N815 - http.server's names

    def on_create(self, _, groups, body):
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            return 409, {"error": "You already created this model repo"}
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.hub.repositories[name] = repository = Repository(private)
        repository.commit({".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
        return 200, {"url": f"{self.hub.endpoint}/{name}", "name": name}

    def on_validate(self, _, groups, body):
        return 200, {"errors": [], "warnings": []}

    def on_settings(self, repository, groups, body):
        asked = json.loads(body)
        repository.gated = asked.get("gated", repository.gated)
        if "visibility" in asked or "private" in asked:
            repository.private = asked.get("visibility") == "private" or bool(asked.get("private"))
        return 200, {}

    def on_info(self, repository, groups, body):
        revision = self.commit_of(repository, groups.get("revision") or "main")
        siblings = []
        for name, content in repository.commits[revision].items():
            entry = {"rfilename": name, "size": len(content), "blobId": _git_hash(content)}
            if len(content) > LARGE:
                entry["lfs"] = {"sha256": _sha256(content), "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        name = groups["repo"]
        facts = {"id": name, "modelId": name, "sha": revision, "private": repository.private}
        return 200, {**facts, "gated": repository.gated, "tags": [], "siblings": siblings}

    def on_tree(self, repository, groups, body):
        revision = self.commit_of(repository, groups["revision"])
        entries = [
            {"type": "file", "path": name, "size": len(content), "oid": _git_hash(content)}
            for name, content in repository.commits[revision].items()
            if name.startswith(groups["path"] or "")
        ]
        return 200, entries

    def on_refs(self, repository, groups, body):
        tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": c} for n, c in repository.tags.items()]
        branches = [{"name": "main", "ref": "refs/heads/main", "targetCommit": repository.head}]
        return 200, {"branches": branches, "tags": tags, "converts": []}

    def on_preupload(self, repository, groups, body):
        files = [
            {"path": f["path"], "uploadMode": "lfs" if f["size"] > LARGE else "regular", "shouldIgnore": False}
            for f in json.loads(body)["files"]
        ]
        return 200, {"files": files}

    def on_batch(self, repository, groups, body):
        objects = []
        for one in json.loads(body)["objects"]:
            entry = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in repository.lfs:
                base = f"{self.hub.endpoint}/lfs/{groups['repo']}"
                entry["actions"] = {"upload": {"href": f"{base}/{one['oid']}"}, "verify": {"href": f"{base}/verify"}}
            objects.append(entry)
        return 200, {"transfer": "basic", "objects": objects}

    def on_upload(self, repository, groups, body):
        if _sha256(body) != groups["oid"]:
            return 400, {"error": "the content has another hash"}
        repository.lfs[groups["oid"]] = body
        return 200, {}

    def on_verify(self, repository, groups, body):
        asked = json.loads(body)
        found = repository.lfs.get(asked["oid"])
        return (200, {}) if found is not None and len(found) == asked["size"] else (404, {"error": "no such object"})

    def on_commit(self, repository, groups, body):
        lines = [json.loads(line) for line in body.splitlines() if line]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repository.head):
            return 412, {"error": "A commit has happened since. Please refresh and try again."}
        files = dict(repository.main)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in repository.lfs:
                    return 400, {"error": "LFS object was not uploaded"}
                files[value["path"]] = repository.lfs[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        oid = repository.commit(files, header["summary"])
        return 200, {
            "success": True,
            "commitOid": oid,
            "commitUrl": f"{self.hub.endpoint}/{groups['repo']}/commit/{oid}",
        }

    def on_tag(self, repository, groups, body):
        name = json.loads(body)["tag"]
        if name in repository.tags:
            return 409, {"error": "Tag already exists"}
        repository.tags[name] = self.commit_of(repository, groups["revision"])
        return 200, {}

    def on_resolve(self, repository, groups, body):
        revision = self.commit_of(repository, groups["revision"])
        content = repository.commits[revision].get(groups["path"])
        if content is None:
            headers = {"X_Error_Code": "EntryNotFound", "X_Repo_Commit": revision}
            return 404, {"error": "Entry not found"}, headers
        etag = _sha256(content) if len(content) > LARGE else _git_hash(content)
        return 200, content, {"X_Repo_Commit": revision, "ETag": f'"{etag}"', "Accept_Ranges": "bytes"}

    def commit_of(self, repository, revision):
        return {"main": repository.head, **repository.tags}.get(revision, revision)


def _sha256(content):
    return hashlib.sha256(content).hexdigest()


def _git_hash(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
