"""Google's official client (google-api-python-client): reading, paging, errors, batch, retries, writing."""

import json
import uuid

import httplib2
from google.auth.exceptions import RefreshError
from google.oauth2 import service_account
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError

from session import Session

AUTH = "https://www.googleapis.com/auth/"
READ = [AUTH + "admin.directory.user.readonly", AUTH + "admin.directory.group.readonly"]
WRITE = [AUTH + "admin.directory.user", AUTH + "admin.directory.group"]
NEW = f"conformance-{uuid.uuid4().hex[:6]}"


def api(session, scopes, subject="sync@example.com"):
    """The client, signed in with the key file that the twin gives out. Only `rootUrl` of the document is another."""
    _, text = httplib2.Http(proxy_info=None).request(session.url + "/_twin/credentials/key-file")
    key = json.loads(text)
    credentials = service_account.Credentials.from_service_account_info(key, subject=subject, scopes=scopes)
    document = json.loads(get_static_doc("admin", "directory_v1"))
    document["rootUrl"] = session.url + "/"
    document.pop("mtlsRootUrl", None)
    # Without a proxy, whatever the environment says.
    http = AuthorizedHttp(credentials, http=httplib2.Http(proxy_info=None, timeout=60))
    return build_from_document(document, http=http)


def walk(collection, items, **query):
    """All items of all pages, and the number of pages."""
    request, found, pages = collection.list(**query), [], 0
    while request is not None:
        page = request.execute()
        found += page.get(items, [])
        pages += 1
        request = collection.list_next(request, page)
    return found, pages


def status(code, reason=None):
    """Whether an error has this status, and this reason in its details."""

    def check(error):
        reasons = [it.get("reason") for it in error.error_details] if isinstance(error.error_details, list) else []
        return error.resp.status == code and (reason is None or reason in reasons)

    return check


def reads(session, directory):
    world = session.operator.get("/world/google")
    ours = sorted((it["email"] for it in world["users"]), key=str.lower)
    size = max(1, len(ours) // 4)
    users, pages = walk(directory.users(), "users", customer="my_customer", maxResults=size)
    session.same("users.list gives every user once, by address", [it["primaryEmail"] for it in users], ours)
    session.same("users.list needs as many pages as it must", pages, -(-len(ours) // size))
    groups, pages = walk(directory.groups(), "groups", customer="my_customer", maxResults=7)
    own = sorted((it["email"] for it in world["groups"] if not it["external"]), key=str.lower)
    session.same("groups.list gives every group once, by address", [it["email"] for it in groups], own)
    session.same("groups.list needs as many pages as it must", pages, -(-len(own) // 7))
    counts = {it["id"]: it["directMembersCount"] for it in groups}
    for group in world["groups"]:
        if group["external"]:
            continue
        members, _ = walk(directory.members(), "members", groupKey=group["id"], maxResults=5)
        truth = {(it["id"], it["type"], it["role"]) for it in group["members"]}
        session.same(
            "members.list gives every direct member once, with type and role",
            sorted((it["id"], it["type"], it["role"]) for it in members),
            sorted(truth),
        )
        session.same("directMembersCount is their number, as text", counts[group["id"]], str(len(truth)))
    one = directory.users().get(userKey=ours[0], projection="full").execute()
    session.same(
        "users.get by address and by id are the same",
        one,
        directory.users().get(userKey=one["id"], projection="full").execute(),
    )
    part = directory.users().list(customer="my_customer", fields="users(id,primaryEmail)", maxResults=1).execute()
    session.same("fields leaves out what it does not name", list(part), ["users"])
    long = " ".join(["email:" + "a" * 60 + "*"] * 40)
    session.same(
        "a query of over 2,048 characters comes as POST",
        directory.users().list(customer="my_customer", query=long).execute().get("users"),
        None,
    )


def is_refused(session, directory):
    unknown = "nobody-at-all@example.com"
    with session.refused("an unknown user is 404", HttpError, status(404, "notFound")):
        directory.users().get(userKey=unknown).execute()
    with session.refused("an unknown group is 404", HttpError, status(404, "notFound")):
        directory.members().list(groupKey=unknown).execute()
    with session.refused("neither customer nor domain is 400", HttpError, status(400)):
        directory.users().list().execute()
    with session.refused("a page token of another query is 400", HttpError, status(400)):
        directory.users().list(customer="my_customer", pageToken="not-a-token").execute()
    with session.refused("an unknown field is 400", HttpError, status(400)):
        directory.users().list(customer="my_customer", fields="users(nothing)").execute()
    with session.refused("reading is not writing: 403", HttpError, status(403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")):
        directory.groups().insert(body={"email": f"{NEW}@example.com"}).execute()
    me = directory.users().get(userKey="sync@example.com").execute()
    request = directory.users().get(userKey="sync@example.com")
    request.headers["If-None-Match"] = me["etag"]
    with session.refused("what has not changed is 304", HttpError, lambda error: error.resp.status == 304):
        request.execute()


def signs_in(session):
    with session.refused("a scope that was not delegated is refused at the token endpoint", RefreshError):
        api(session, [AUTH + "admin.directory.device.chromeos"]).users().list(customer="my_customer").execute()
    with session.refused("a subject without a role is forbidden or unknown", (HttpError, RefreshError)):
        api(session, READ, subject="nobody-at-all@example.com").users().list(customer="my_customer").execute()


def retries(session, directory):
    def ask(expected, times, **fault):
        """Runs one call under a fault with five retries and the client's own waits noted instead of waited."""
        waits = []
        request = directory.users().get(userKey="sync@example.com")
        request._sleep = waits.append
        with session.operator.fault(family="google.directory", operation="users.get", times=times, **fault):
            try:
                request.execute(num_retries=5)
                seen = "answered"
            except HttpError as error:
                seen = error.resp.status
        session.same(f"{fault} is {expected}", (seen, len(waits)), expected)

    for shape in ("userRateLimitExceeded", "rateLimitExceeded", "plain", "plain503"):
        ask(("answered", 2), 2, kind="throttle", shape=shape)
    ask((403, 0), 1, kind="throttle", shape="quotaExceeded")
    ask((403, 0), 1, kind="throttle", shape="dailyLimitExceeded")
    for code in (500, 502, 503):
        ask(("answered", 2), 2, kind="fail", status=code)
    ask((503, 5), 6, kind="fail", status=503, plain=True)
    ask((403, 0), 1, kind="forbidden")
    # The client's transport opens the cut connection again by itself.
    ask(("answered", 0), 1, kind="reset")


def batches(session, directory):
    heard = {}

    def keep(call, answer, error):
        heard[call] = (answer or {}).get("kind") if error is None else error.resp.status

    batch = directory.new_batch_http_request(callback=keep)
    batch.add(directory.users().list(customer="my_customer", maxResults=1), request_id="list")
    batch.add(directory.users().get(userKey="nobody-at-all@example.com"), request_id="missing")
    batch.add(directory.groups().list(customer="my_customer", maxResults=200), request_id="groups")
    batch.add(directory.groups().list(customer="my_customer", pageToken="not-a-token"), request_id="wrong")
    batch.execute()
    wanted = {"list": "admin#directory#users", "missing": 404, "groups": "admin#directory#groups", "wrong": 400}
    session.same("each call of a batch has its own answer", heard, wanted)
    big = directory.new_batch_http_request(callback=keep)
    for number in range(200):
        big.add(directory.users().get(userKey="sync@example.com"), request_id=f"n{number}")
    big.execute()
    session.same(
        "two hundred calls in one batch are all answered",
        {heard[f"n{it}"] for it in range(200)},
        {"admin#directory#user"},
    )


def writes(session, directory):
    users, groups, members = directory.users(), directory.groups(), directory.members()
    name = {"givenName": "Mia", "familyName": "Neu"}
    person = users.insert(
        body={"primaryEmail": f"{NEW}@example.com", "name": name, "password": "not-a-secret-1"}
    ).execute()
    with session.refused("the same address again is 409", HttpError, status(409, "duplicate")):
        users.insert(body={"primaryEmail": f"{NEW}@example.com", "name": name, "password": "not-a-secret-1"}).execute()
    renamed = users.patch(userKey=person["id"], body={"primaryEmail": f"{NEW}-b@example.com"}).execute()
    session.same("a rename keeps the id", renamed["id"], person["id"])
    session.same("the old address stays as an alias", renamed["aliases"], [f"{NEW}@example.com"])
    session.same("an alias finds its user", users.get(userKey=f"{NEW}@example.com").execute()["id"], person["id"])
    session.holds(
        "a suspended user says so", users.update(userKey=person["id"], body={"suspended": True}).execute()["suspended"]
    )
    outer = groups.insert(body={"email": f"{NEW}-outer@example.com", "name": "Outer"}).execute()
    inner = groups.insert(body={"email": f"{NEW}-inner@example.com", "name": "Inner"}).execute()
    with session.refused("the same group again is 409", HttpError, status(409, "duplicate")):
        groups.insert(body={"email": f"{NEW}-outer@example.com"}).execute()
    members.insert(groupKey=inner["id"], body={"id": person["id"], "role": "MANAGER"}).execute()
    members.insert(groupKey=outer["id"], body={"email": inner["email"]}).execute()
    with session.refused("a second membership is 409", HttpError, status(409, "duplicate")):
        members.insert(groupKey=inner["id"], body={"email": f"{NEW}@example.com"}).execute()
    with session.refused("a cycle is 412", HttpError, status(412, "conditionNotMet")):
        members.insert(groupKey=inner["id"], body={"email": outer["email"]}).execute()
    members.insert(groupKey=inner["id"], body={"email": "mona@elsewhere.example.net"}).execute()
    outsider = members.get(groupKey=inner["id"], memberKey="mona@elsewhere.example.net").execute()
    session.same(
        "somebody from outside is a USER without status", (outsider["type"], outsider.get("status")), ("USER", None)
    )
    derived, _ = walk(members, "members", groupKey=outer["id"], includeDerivedMembership=True)
    session.holds("derived members include those of the inner group", person["id"] in {it["id"] for it in derived})
    session.same(
        "hasMember sees nesting",
        members.hasMember(groupKey=outer["id"], memberKey=person["id"]).execute(),
        {"isMember": True},
    )
    session.same(
        "a role changes",
        members.patch(groupKey=inner["id"], memberKey=person["id"], body={"role": "OWNER"}).execute()["role"],
        "OWNER",
    )
    of_person, _ = walk(groups, "groups", userKey=person["id"])
    session.same("groups.list by userKey gives direct groups", [it["id"] for it in of_person], [inner["id"]])
    session.same("a removal has no answer", members.delete(groupKey=inner["id"], memberKey=person["id"]).execute(), "")
    with session.refused("a member that is gone is 404", HttpError, status(404, "notFound")):
        members.delete(groupKey=inner["id"], memberKey=person["id"]).execute()
    users.delete(userKey=person["id"]).execute()
    deleted, _ = walk(users, "users", customer="my_customer", showDeleted="true")
    session.holds("a deleted user is listed with showDeleted", person["id"] in {it["id"] for it in deleted})
    users.undelete(userKey=person["id"], body={"orgUnitPath": "/"}).execute()
    session.same(
        "an undeleted user has the old id", users.get(userKey=f"{NEW}-b@example.com").execute()["id"], person["id"]
    )
    for group in (outer, inner):
        groups.delete(groupKey=group["id"]).execute()
    users.delete(userKey=person["id"]).execute()


def main():
    session = Session("google_client")
    directory = api(session, READ)
    session.part(reads, directory)
    session.part(is_refused, directory)
    session.part(signs_in)
    session.part(retries, directory)
    session.part(batches, directory)
    session.part(writes, api(session, WRITE))
    session.end()


main()
