"""All vendors' documents together: every exchange finds its judge, and every operation is accounted for."""

import collections
import email
import fnmatch
import json
import re
import urllib.parse

import jsonschema

from allowed import Findings
from discovery import Discovery
from openapi import OpenApi
from recording import Exchange

# Which copy to use says the README beside the documents.
ATLASSIAN = {
    "org": "atlassian/derived/admin-organization.merged-2026.json",
    "scim": "atlassian/derived/admin-user-provisioning-scim.errata.json",
    "jira": "atlassian/jira-cloud-v3.cut.json",
    "users": "atlassian/admin-user-management.json",
    "desk": "atlassian/jsm-cloud.cut.json",
    "wiki": "atlassian/confluence-cloud-v1.cut.json",
}
TOKEN = {
    200: {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in"],
        "properties": {"token_type": {"const": "Bearer"}, "expires_in": {"type": "integer"}},
    },
    400: {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
}


class Documents:
    """The judges. Without the folder of documents Google's own client has Google's; Atlassian's are not checked."""

    def __init__(self, folder):
        self.findings = Findings()
        self.statuses = collections.defaultdict(collections.Counter)
        self.folder = folder
        if folder is None:
            from googleapiclient.discovery_cache import get_static_doc

            self.judges = [Discovery(get_static_doc("admin", "directory_v1"))]
        else:
            self.judges = [Discovery((folder / "google/admin.directory_v1.json").read_text())]
            self.judges += [OpenApi((folder / path).read_text(), family) for family, path in ATLASSIAN.items()]

    def check(self, exchange):
        """Finds the operation of an exchange and reports what deviates from its document."""
        if exchange.path.startswith("/_twin"):
            return
        if exchange.path.startswith("/batch") and exchange.status == 200:
            for part in parts_of(exchange):
                self.check(part)
            return
        if exchange.path == "/token":
            self._check_token(exchange)
            return
        exchange = undisguised(exchange)
        # A Jira site may be one of several behind the same host.
        exchange.path = re.sub(r"^/(sites/[^/]+|ex/jira/[^/]+)/rest/", "/rest/", exchange.path)
        for judge in self.judges:
            operation = judge.find(exchange.method, exchange.path)
            if operation is not None:
                self.statuses[operation.id][exchange.status] += 1

                def report(what, example="", operation=operation):
                    self.findings.add(operation.id, what, example)

                try:
                    judge.check(operation, exchange, report)
                except ValueError as error:
                    report(f"{exchange.status} cannot be read: {error}")
                return
        if exchange.status not in (404, 405) and self.folder is not None:
            self.findings.add(f"{exchange.method} {exchange.path}", f"{exchange.status}, and no document knows this")

    def list(self, verb, path, status):
        """Whether the document of an operation lists a status; Google's list none, which permits all."""
        found = (judge.find(verb, path) for judge in self.judges)
        operation = next((it for it in found if it is not None), None)
        return operation is not None and (operation.answers is None or str(status) in operation.answers)

    def _check_token(self, exchange):
        """RFC 6749 sections 5.1 and 5.2: the document of the token endpoint is the standard."""
        name = "google:token"
        self.statuses[name][exchange.status] += 1
        schema = TOKEN[200 if exchange.status == 200 else 400]
        for error in jsonschema.Draft202012Validator(schema).iter_errors(json.loads(exchange.body)):
            self.findings.add(name, f"{exchange.status} {error.message}")

    def account(self):
        """Every operation of the documents occurred with success, or is reported as not played."""
        for judge in self.judges:
            for operation in judge.operations:
                if not any(status < 400 for status in self.statuses[operation.id]):
                    self.findings.add(operation.id, "not played")

    def summary(self):
        """Operations that occurred, by family, with the statuses seen."""
        lines = []
        for family in ("google", *ATLASSIAN):
            seen = {it: found for it, found in self.statuses.items() if fnmatch.fnmatch(it, f"{family}:*") and found}
            if seen:
                statuses = sorted({status for found in seen.values() for status in found})
                answers = sum(sum(found.values()) for found in seen.values())
                lines.append(f"  {family}: {len(seen)} operations, {answers} answers checked, statuses {statuses}")
        if self.folder is None:
            lines.append("  Atlassian's documents are absent: its answers were not checked against them")
        return "\n".join(lines)


def undisguised(exchange):
    """A GET that came as POST, with its query as a form (google.md section 1.1)."""
    over = exchange.request_headers.get("x-http-method-override")
    if exchange.method != "POST" or not over:
        return exchange
    form = exchange.request_headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    more = urllib.parse.parse_qsl(exchange.request_body.decode(), keep_blank_values=True) if form else []
    body = b"" if form else exchange.request_body
    return Exchange(
        over.upper(),
        exchange.path,
        [*exchange.query, *more],
        exchange.request_headers,
        body,
        exchange.status,
        exchange.headers,
        exchange.body,
    )


def parts_of(exchange):
    """The calls inside a batch, as exchanges of their own; parts of request and answer stand in the same order."""
    asked = multipart(exchange.request_headers["content-type"], exchange.request_body)
    answered = multipart(exchange.headers["content-type"], exchange.body)
    if len(asked) != len(answered):
        raise ValueError(f"{len(asked)} calls, {len(answered)} answers")
    for (id_asked, request), (id_answered, answer) in zip(asked, answered, strict=True):
        if id_answered.strip("<>") != "response-" + id_asked.strip("<>"):
            raise ValueError(f"the answer to {id_asked} says {id_answered}")
        line, headers, body = http_message(request)
        verb, target = line.split(" ")[:2]
        parts = urllib.parse.urlsplit(target)
        status, answer_headers, answer_body = http_message(answer)
        yield Exchange(
            verb,
            parts.path,
            urllib.parse.parse_qsl(parts.query, keep_blank_values=True),
            headers,
            body,
            int(status.split(" ")[1]),
            answer_headers,
            answer_body,
        )


def multipart(content_type, body):
    message = email.message_from_bytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + body)
    return [(part["content-id"], part.get_payload(decode=True)) for part in message.get_payload()]


def http_message(text):
    head, _, body = text.replace(b"\r\n", b"\n").partition(b"\n\n")
    line, _, headers = head.decode().partition("\n")
    message = email.message_from_string(headers)
    fields = {name.lower(): value for name, value in message.items()}
    return line, fields, body.rstrip(b"\n")
