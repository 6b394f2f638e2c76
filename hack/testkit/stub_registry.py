"""An image registry that refuses, in as many ways as there are repositories in it.

It runs as a DaemonSet in the network of the nodes, because containerd speaks plain HTTP only with
the node itself. An image is ``localhost:PORT/REPOSITORY:TAG``; the answers are those of the OCI
distribution specification.
"""

import zlib
from typing import Final

from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.wait import TOOL_POLL_INTERVAL, wait_until

MISSING: Final = "missing"
"""The repository that answers 404 MANIFEST_UNKNOWN: there is no such tag."""

LIMITED: Final = "limited"
"""The repository that answers 429 TOOMANYREQUESTS: too many pulls."""

PRIVATE: Final = "private"
"""The repository that answers 401 UNAUTHORIZED: no credentials, or wrong ones."""

FOREIGN_PLATFORM: Final = "foreign-platform"
"""The repository whose image is for another architecture only."""

_NAME: Final = "registry"
_READY_TIMEOUT = 60
_IMAGE = "localhost/selfhealing-demo:dev"

SERVER: Final = """
import hashlib, http.server, json, sys

CONFIG = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2,
          "digest": "sha256:" + hashlib.sha256(b"{}").hexdigest(),
          "platform": {"architecture": "s390x", "os": "linux"}}
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
INDEX = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [CONFIG]}).encode()
ANSWERS = {"limited": (429, "TOOMANYREQUESTS"), "private": (401, "UNAUTHORIZED")}

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        # A client that tries TLS first is told at once that this is plain HTTP.
        if self.rfile.peek(1)[:1] == b"\\x16":
            self.wfile.write(b"HTTP/1.1 400 Bad Request\\r\\nConnection: close\\r\\n\\r\\n")
            self.close_connection = True
            return
        super().handle_one_request()

    def do_GET(self):
        if self.path.rstrip("/") == "/v2":
            return self.reply(200, b"{}", "application/json")
        name = self.path.split("/")[2]
        if name == "foreign-platform":
            return self.reply(200, INDEX, INDEX_TYPE)
        code, word = ANSWERS.get(name, (404, "MANIFEST_UNKNOWN"))
        text = json.dumps({"errors": [{"code": word, "message": word.lower()}]})
        self.reply(code, text.encode(), "application/json")

    do_HEAD = do_GET

    def reply(self, code, body, kind):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""The program; its argument is the port."""


def start_stub_registry(kube: KubeClient, namespace: str) -> str:
    """Run a registry in a namespace until the namespace is deleted.

    Returns:
        Its address as an image begins with it, such as ``localhost:24017``.

    Raises:
        ToolError: it does not run in time.
    """
    port = 20000 + zlib.crc32(namespace.encode()) % 9000  # below the node ports
    kube.apply(_build_daemon_set(namespace, port))

    def is_running() -> bool:
        status = kube.get_path(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{_NAME}") or {}
        state = status.get("status") or {}
        wanted = state.get("desiredNumberScheduled", 0)
        return bool(0 < wanted <= state.get("numberReady", 0))

    wait_until("the registry runs", is_running, _READY_TIMEOUT, interval=TOOL_POLL_INTERVAL)
    return f"localhost:{port}"


def _build_daemon_set(namespace: str, port: int) -> Json:
    labels = {"stub": _NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": _NAME, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "hostNetwork": True,
                    "terminationGracePeriodSeconds": 0,
                    "tolerations": [
                        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}
                    ],
                    "containers": [
                        {
                            "name": _NAME,
                            "image": _IMAGE,
                            "imagePullPolicy": "Never",
                            "command": ["python", "-c", SERVER, str(port)],
                            "readinessProbe": {
                                "tcpSocket": {"host": "127.0.0.1", "port": port},
                                "periodSeconds": 1,
                            },
                        }
                    ],
                },
            },
        },
    }
