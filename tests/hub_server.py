"""A server that speaks the Hugging Face Hub's endpoints for models, as far as its own library uses them here."""

import base64
import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """Commits by their hash, the branches and tags, and what each commit holds."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit that has `files` beside those of the one before."""
        before = self.commits.get(self.refs.get(branch, ""), {})
        content = before | files
        told = (
            b"".join(name.encode() + data for name, data in sorted(content.items())) + str(len(self.commits)).encode()
        )
        name = hashlib.sha1(told, usedforsecurity=False).hexdigest()
        self.commits[name] = content
        self.refs[branch] = name
        return name


@dataclass
class HubServer:
    """The server: `repositories` by ``user/name``, `requests` as they came, objects that were uploaded."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    token: str = "hf_secret"
    private: set[str] = field(default_factory=set)
    url: str = ""

    @contextlib.contextmanager
    def running(self) -> Iterator["HubServer"]:
        """Serve on a free port of this machine."""
        server = self.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def start(self) -> http.server.ThreadingHTTPServer:
        """Begin to serve, until the server is shut down or this process ends."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


def _handler(hub: HubServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            hub.requests.append(format % args)

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def as_json(self, value: Any, status: int = 200) -> None:
            self.answer(status, json.dumps(value).encode(), Content_Type="application/json")

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))

        @property
        def is_known(self) -> bool:
            return self.headers.get("Authorization") == f"Bearer {hub.token}"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = [unquote(one) for one in urlsplit(self.path).path.strip("/").split("/")]
            if "resolve" not in parts:
                return self.as_json({"error": "unknown"}, 404)
            at = parts.index("resolve")
            name, revision, file = "/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2 :])
            repository = hub.repositories.get(name)
            if repository is None or (name in hub.private and not self.is_known):
                return self.answer(401, X_Error_Code="RepoNotFound", X_Error_Message="no such repository")
            commit = revision if revision in repository.commits else repository.refs.get(revision)
            if commit is None:
                return self.answer(404, X_Error_Code="RevisionNotFound", X_Error_Message="no such revision")
            content = repository.commits[commit].get(file)
            if content is None:
                return self.answer(404, X_Error_Code="EntryNotFound", X_Error_Message="no file", X_Repo_Commit=commit)
            etag = hashlib.sha256(content).hexdigest()
            return self.answer(200, content, ETag=f'"{etag}"', X_Repo_Commit=commit, Accept_Ranges="bytes")

        def do_PUT(self) -> None:
            content = self.body()
            hub.objects[hashlib.sha256(content).hexdigest()] = content
            self.answer(200)

        def do_POST(self) -> None:
            content = self.body()
            path = urlsplit(self.path).path
            if not self.is_known:
                return self.as_json({"error": "Invalid user token."}, 401)
            if path == "/api/validate-yaml":
                return self.as_json({"errors": [], "warnings": []})
            if path == "/api/repos/create":
                asked = json.loads(content)
                name = f"{asked.get('organization') or 'me'}/{asked['name']}"
                if asked.get("private") or asked.get("visibility") == "private":
                    hub.private.add(name)
                status = 409 if name in hub.repositories else 200
                hub.repositories.setdefault(name, Repository()).refs.setdefault("main", "")
                return self.as_json({"url": f"{hub.url}/{name}", "id": name}, status)
            if path.endswith("/info/lfs/objects/batch"):
                objects = [
                    {
                        "oid": one["oid"],
                        "size": one["size"],
                        "actions": {"upload": {"href": f"{hub.url}/o/{one['oid']}"}},
                    }
                    for one in json.loads(content)["objects"]
                ]
                return self.as_json({"transfer": "basic", "objects": objects})
            name, _, rest = path.removeprefix("/api/models/").partition("/preupload/")
            if rest:
                modes = [
                    {
                        "path": one["path"],
                        "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular",
                        "shouldIgnore": False,
                        "oid": None,
                    }
                    for one in json.loads(content)["files"]
                ]
                return self.as_json({"files": modes})
            name, _, revision = path.removeprefix("/api/models/").partition("/commit/")
            files: dict[str, bytes] = {}
            for line in map(json.loads, content.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "lfsFile":
                    files[line["value"]["path"]] = hub.objects[line["value"]["oid"]]
            commit = hub.repositories[name].commit(files, revision)
            return self.as_json(
                {"success": True, "commitOid": commit, "commitUrl": f"{hub.url}/{name}/commit/{commit}"}
            )

    return Handler
