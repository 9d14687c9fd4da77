"""The judges themselves: answers with one thing wrong each are found, and only what `allowed.toml` names passes."""

import json

from allowed import Allowed, Entry, Findings
from recording import Exchange
from session import Session

USERS = "/admin/directory/v1/users"
GROUPS = "/admin/v2/orgs/o/directories/d/groups"
PERSON = {"kind": "admin#directory#user", "id": "1", "primaryEmail": "a@example.com"}


def exchange(verb, path, status, body, query=(), kind="application/json"):
    text = b"" if body is None else json.dumps(body).encode()
    headers = {"content-type": kind} if text else {}
    return Exchange(verb, path, list(query), {}, b"", status, headers, text)


# Operation, exchange, and what must be found about it; None where it is right.
CASES = (
    ("google:users.get", exchange("GET", f"{USERS}/1", 200, PERSON), None),
    ("google:users.get", exchange("GET", f"{USERS}/1", 200, {**PERSON, "mail": "x"}), "undeclared 'mail'"),
    ("google:users.get", exchange("GET", f"{USERS}/1", 200, {**PERSON, "kind": "user"}), "body at $.kind"),
    ("google:users.get", exchange("GET", f"{USERS}/1", 200, {**PERSON, "suspended": "no"}), "type boolean"),
    ("google:users.get", exchange("GET", f"{USERS}/1", 200, PERSON, kind="text/html"), "content type text/html"),
    ("google:users.get", exchange("GET", f"{USERS}/1", 404, {"error": "gone"}), "404 body"),
    ("google:users.delete", exchange("DELETE", f"{USERS}/1", 204, None), None),
    ("google:users.delete", exchange("DELETE", f"{USERS}/1", 200, {}), "200 with a body"),
    ("google:users.list", exchange("GET", USERS, 200, {}, [("maxResults", "501")]), "parameter maxResults"),
    ("google:users.list", exchange("GET", USERS, 200, {}, [("orderBy", "age")]), "parameter orderBy"),
    (
        "google:groups.get",
        exchange("GET", "/admin/directory/v1/groups/1", 200, {"directMembersCount": 3}),
        "body at $.directMembersCount: type string",
    ),
    ("org:GET /admin/v2/orgs/{orgId}/directories", exchange("GET", "/admin/v2/orgs/o/directories", 418, {}), "418"),
    (
        "org:POST /admin/v2/orgs/{orgId}/directories/{directoryId}/groups",
        exchange("POST", GROUPS, 201, {"id": "1"}),
        "201 with a body",
    ),
    (
        "jira:GET /rest/api/3/group/member",
        exchange("GET", "/rest/api/3/group/member", 200, {"values": [{"nick": "x"}]}),
        "undeclared 'nick'",
    ),
    (
        "jira:GET /rest/api/3/group/member",
        exchange("GET", "/sites/acme/rest/api/3/group/member", 404, {"message": "no"}),
        "'errorMessages' is a required property",
    ),
    (
        "scim:GET /scim/directory/{directoryId}/Users/{userId}",
        exchange("GET", "/scim/directory/d/Users/1", 200, {"active": "yes"}, kind="application/scim+json"),
        "body at $.active: type boolean",
    ),
    ("GET /rest/api/3/unheard-of", exchange("GET", "/rest/api/3/unheard-of", 200, {}), "no document knows this"),
)


def finds(session):
    documents = session.documents
    for operation, case, wanted in CASES:
        documents.findings = Findings()
        documents.check(case)
        seen = [(found, what) for found, what in documents.findings.seen]
        fits = [what for found, what in seen if found == operation and wanted and wanted in what]
        session.holds(f"{operation} {case.status}: {wanted or 'nothing'} is found", fits if wanted else not seen, seen)
    documents.findings = Findings()


def allows(session):
    findings = Findings()
    findings.add("jira:GET /a", "status 429 is not listed")
    findings.add("jira:GET /b", "status 418 is not listed")
    entry = Entry("throttled", "judges", "jira:*", "status 429 is not listed", "somewhere")
    session.same("one is allowed", len(Allowed([entry]).judge("judges", findings)), 1)
    both = Allowed([entry, Entry("teapot", "judges", "jira:GET /b", "status 418*", "somewhere")])
    session.same("both are allowed", both.judge("judges", findings), [])
    more = Allowed([*both.entries, Entry("old", "judges", "jira:*", "status 999*", "somewhere")])
    session.holds("what is not needed fails", "'old' is not needed" in more.judge("judges", findings)[0])
    session.same("but only in its own program", more.judge("another", findings), [])
    session.same("and only where all documents are there", more.judge("judges", findings, complete=False), [])
    documents = session.documents
    documents.account()
    missing = [operation for operation, what in documents.findings.seen if what == "not played"]
    session.holds("an operation that did not occur is reported", "google:members.list" in missing)
    documents.findings = Findings()


def main():
    session = Session("judges")
    if session.documents.folder is None:
        print("judges: the vendors' documents are absent; only Google's can be tried")
        global CASES
        CASES = [it for it in CASES if it[0].startswith("google:")]
    session.part(finds)
    session.part(allows)
    session.end()


main()
