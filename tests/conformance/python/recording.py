"""A reverse proxy in front of the twin that keeps what passes through it.

Every client is pointed at the proxy, so that one recording holds what was said and heard, whatever library it uses.
The proxy changes nothing: the `Host` header stays, so that links in answers lead back through it, and a connection that
the twin cuts is cut for the client, too.
"""

import dataclasses
import gzip
import http.client
import http.server
import threading
import urllib.parse

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer", "upgrade"}


@dataclasses.dataclass
class Exchange:
    """One request with its answer. Header names are in lower case, bodies without transfer encodings."""

    method: str
    path: str
    query: list
    request_headers: dict
    request_body: bytes
    status: int
    headers: dict
    body: bytes

    def values(self, name):
        """All values of a query parameter."""
        return [value for key, value in self.query if key == name]


class Recorder:
    """Listens on a free loopback port, hands everything on to `upstream` and keeps it."""

    def __init__(self, upstream):
        self.exchanges = []
        self._lock = threading.Lock()
        address = urllib.parse.urlsplit(upstream)
        handler = type("Handler", (_Handler,), {"recorder": self, "upstream": (address.hostname, address.port)})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def keep(self, exchange):
        with self._lock:
            self.exchanges.append(exchange)

    def taken(self):
        """What was kept so far."""
        with self._lock:
            return list(self.exchanges)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small answers must not wait for the acknowledgement of the one before.
    disable_nagle_algorithm = True
    recorder = None
    upstream = None
    link = None

    def log_message(self, format, *arguments):
        """Nothing: the recording is the log."""

    def handle_one(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        try:
            response, answer = self.ask(body)
        except (OSError, http.client.HTTPException):
            # Cut by the twin: cut for the client.
            self.link = None
            self.close_connection = True
            return
        self.keep(body, response, answer)
        self.answer(response, answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

    def ask(self, body):
        if self.link is None:
            self.link = http.client.HTTPConnection(*self.upstream, timeout=60)
        self.link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.link.putheader(name, value)
        if body or self.command in ("POST", "PUT", "PATCH"):
            self.link.putheader("Content-Length", str(len(body)))
        self.link.endheaders(body)
        response = self.link.getresponse()
        return response, response.read()

    def keep(self, body, response, answer):
        parts = urllib.parse.urlsplit(self.path)
        headers = {name.lower(): value for name, value in response.getheaders()}
        plain = gzip.decompress(answer) if headers.get("content-encoding") == "gzip" else answer
        self.recorder.keep(
            Exchange(
                method=self.command,
                path=parts.path,
                query=urllib.parse.parse_qsl(parts.query, keep_blank_values=True),
                request_headers={name.lower(): value for name, value in self.headers.items()},
                request_body=body,
                status=response.status,
                headers=headers,
                body=plain,
            )
        )

    def answer(self, response, answer):
        lines = [f"HTTP/1.1 {response.status} {response.reason}"]
        lines += [f"{name}: {value}" for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP]
        if response.status not in (204, 304):
            lines.append(f"Content-Length: {len(answer)}")
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer)
