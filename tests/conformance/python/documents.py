"""Every operation that the twin plays, with its error answers, against the vendors' documents, by plain HTTP.

Each call of `calls.py` is made without credentials, under every fault that answers, and then for good; at the end every
operation of the documents has occurred, or `allowed.toml` says that it is not played. Organization API v2 writes are
checked here and nowhere else: no client of others writes through them.
"""

import json

import requests
from google.auth.transport.requests import Request
from google.oauth2 import service_account

import calls
from session import Session

# Every operation of a service behind a gateway may be throttled or fail; forbidden or not found is only what the
# document says of it.
FAULTS = (
    ({"kind": "throttle", "retry_after": "1"}, None),
    ({"kind": "throttle"}, None),
    ({"kind": "fail", "status": 500}, None),
    ({"kind": "fail", "status": 503}, None),
    ({"kind": "unauthorized"}, None),
    ({"kind": "forbidden"}, 403),
    ({"kind": "not-found"}, 404),
)
SCOPES = ["user", "user.alias", "group", "group.member", "customer.readonly"]


class Http:
    """Plain requests through the recording, with the credentials that each API takes."""

    def __init__(self, session):
        self.session = session
        self.plain = requests.Session()
        self.plain.trust_env = False
        self.google = None
        self.google = self.signed_in()

    def signed_in(self):
        key = self.plain.get(self.session.url + "/_twin/credentials/key-file").json()
        scopes = [f"https://www.googleapis.com/auth/admin.directory.{it}" for it in SCOPES]
        self.session.operator.ask("POST", "/credentials/key-file", {"scopes": scopes})
        credentials = service_account.Credentials.from_service_account_info(
            key, subject="sync@example.com", scopes=scopes
        )
        credentials.refresh(Request(self.plain))
        return credentials.token

    def headers(self, path):
        if path.startswith("/scim/"):
            return {"Authorization": "Bearer twin-scim-key"}
        if path.startswith(("/admin/v", "/admin/user-provisioning", "/users/")):
            return {"Authorization": "Bearer twin-org-key"}
        if path.startswith("/admin/directory/"):
            return {"Authorization": f"Bearer {self.google}"}
        # sync@example.com:twin-api-token
        return {"Authorization": "Basic c3luY0BleGFtcGxlLmNvbTp0d2luLWFwaS10b2tlbg=="}

    def send(self, call, known=True):
        headers = self.headers(call.path) if known else {}
        if call.path.startswith("/rest/servicedeskapi/"):
            headers["X-ExperimentalApi"] = "opt-in"
        data = None
        if call.body is not None:
            kind = "application/scim+json" if call.path.startswith("/scim/") else "application/json"
            headers["Content-Type"] = kind
            data = json.dumps(call.body)
        url = self.session.url + call.path
        return self.plain.request(call.verb, url, params=call.query, data=data, headers=headers)


def family(path):
    for start, name in (
        ("/admin/directory/", "google.directory"),
        ("/admin/", "atlassian.org"),
        ("/scim/", "atlassian.scim"),
        ("/users/", "atlassian.users"),
        ("/rest/servicedeskapi/", "atlassian.servicedesk"),
        ("/wiki/", "atlassian.confluence"),
    ):
        if path.startswith(start):
            return name
    return "atlassian.jira"


def troubled(session, http, call):
    """The call without credentials and under faults; nothing of it takes effect."""
    session.same(f"{call} without credentials is 401", http.send(call, known=False).status_code, 401)
    for fault, status in FAULTS:
        if status and not session.documents.list(call.verb, call.path, status):
            continue
        with session.operator.fault(family=family(call.path), times=1, **fault):
            seen = http.send(call).status_code
        session.holds(f"{call} under {fault} is refused", seen >= 400, seen)
    if call.paged:
        with session.operator.fault(family=family(call.path), times=1, kind="empty-page", keep_next=True):
            session.same(f"{call} may have an empty page", http.send(call).status_code, 200)


def made(session, http, call):
    """The call for good. What it made is known to later calls by name."""
    answer = http.send(call)
    session.holds(
        f"{call} is {call.status}", answer.status_code == call.status, (answer.status_code, answer.text[:300])
    )
    if call.keep and answer.ok:
        name, place = call.keep
        value = answer.json()
        for step in place:
            value = value[step]
        return {name: value}
    return {}


def work(session):
    http = Http(session)
    known = calls.names(session.operator)
    for template in calls.CALLS:
        call = template.filled(known)
        if call.troubled:
            troubled(session, http, call)
        for switches in call.switches:
            with session.operator.switched(**switches):
                known |= made(session, http, call)


def main():
    session = Session("documents")
    session.part(work)
    print("documents: organization API v2 writes are checked against the document alone; no outside client makes them")
    session.end(accounted=session.documents.folder is not None)


main()
