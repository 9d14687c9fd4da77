"""PyPI atlassian-python-api: Jira Cloud (a site that shows its organization's groups, and one that owns its own), user
provisioning, user management and the reads of the organization API.

It writes through no operation of organization API v2; `documents.py` checks those against the document alone.
"""

import uuid

import atlassian.cloud_admin
import requests
from atlassian import CloudAdmin
from atlassian.jira.jira_cloud import JiraCloud

from session import Session

NEW = f"conformance-{uuid.uuid4().hex[:6]}"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


def status(code, text=""):
    return lambda error: error.response is not None and error.response.status_code == code and text in str(error)


def jira_works(session, jira, person, other):
    """One site: groups and members in both directions, refusals as Jira words them, paging."""
    refused = requests.HTTPError
    made = jira.create_group(data={"name": NEW})
    group = made["groupId"]
    session.same("a created group has its name", made["name"], NEW)
    with session.refused("the same name again is 400", refused, status(400)):
        jira.create_group(data={"name": NEW})
    found = jira.bulk_get_groups(group_name=NEW)
    session.same("group/bulk finds it by exact name", [it["groupId"] for it in found["values"]], [group])
    added = jira.add_user_to_group(group_id=group, data={"accountId": person})
    session.same("adding answers with the group", added["groupId"], group)
    with session.refused("adding again is 400 and says so", refused, status(400, "already a member")):
        jira.add_user_to_group(group_id=group, data={"accountId": person})
    jira.add_user_to_group(groupname=NEW, data={"accountId": other})
    seen, start = [], 0
    while True:
        page = jira.get_users_from_group(group_id=group, start_at=start, max_results=1)
        seen += [it["accountId"] for it in page["values"]]
        start += len(page["values"])
        if page["isLast"]:
            break
    session.same("group/member pages through all members", sorted(seen), sorted([person, other]))
    groups = jira.get_user_groups(account_id=person)
    session.holds("user/groups names the group", NEW in [it["name"] for it in groups], groups)
    found = [it["name"] for it in jira.find_groups(query=NEW)["groups"]]
    session.holds("the picker finds the group", NEW in found, found)
    jira.remove_user_from_group(group_id=group, account_id=person)
    with session.refused("removing again is 400 and says so", refused, status(400, "is not a member")):
        jira.remove_user_from_group(group_id=group, account_id=person)
    with session.refused("an unknown account is 404", refused, status(404)):
        jira.add_user_to_group(group_id=group, data={"accountId": "712020:nobody"})
    with session.refused("an unknown group is 404", refused, status(404)):
        jira.add_user_to_group(group_id="00000000-0000-0000-0000-000000000000", data={"accountId": person})
    with session.refused("group id and name exclude each other", refused, status(400)):
        jira.get_users_from_group(group_id=group, groupname=NEW)
    jira.remove_group(group_id=group)
    with session.refused("a removed group is 404", refused, status(404)):
        jira.get_users_from_group(group_id=group)


def people_of(session, jira, email):
    """Finding, making and removing people of a site."""
    session.holds("myself answers who calls", jira.get_current_user()["accountId"])
    everybody, start = [], 0
    while page := jira.get_all_users(start_at=start, max_results=50):
        everybody += page
        start += len(page)
    ids = [it["accountId"] for it in everybody]
    session.same("users/search gives everybody once", len(ids), len(set(ids)))
    made = jira.create_user(data={"emailAddress": email, "products": ["jira-software"]})
    account = made["accountId"]
    found = jira.find_users(query=email)
    session.same("user/search finds the new person", [it["accountId"] for it in found], [account])
    session.same("user/bulk answers by id", jira.bulk_get_users(account_id=account)["values"][0]["accountId"], account)
    session.same("user answers by id", jira.get_user(account_id=account, expand="groups")["accountId"], account)
    jira.remove_user(account_id=account)
    with session.refused("an unknown person is 404", requests.HTTPError, status(404)):
        jira.get_user(account_id="712020:nobody")
    session.holds("roles of applications are listed", isinstance(jira.get_all_application_roles(), list))


def jira_is_retried(session, jira, account):
    """The client repeats 429 and 503 when it is asked to."""
    for fault in ({"kind": "throttle", "retry_after": "0"}, {"kind": "throttle"}, {"kind": "fail", "status": 503}):
        with session.operator.fault(family="atlassian.jira", operation="user.get", times=1, **fault):
            session.same(f"{fault} is retried", jira.get_user(account_id=account)["accountId"], account)


def patch(admin, directory, kind, key, operations):
    """A PATCH with `schemas`, by the client's general call."""
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}
    return admin.patch(admin._scim_url(directory, f"/{kind}/{key}"), data=body, absolute=True)


def scim_works(session, admin, directory):
    refused = requests.HTTPError
    body = {
        "schemas": [USER],
        "userName": f"{NEW}@example.com",
        "externalId": f"ext-{NEW}",
        "emails": [{"value": f"{NEW}@example.com", "type": "work", "primary": True}],
        "name": {"givenName": "Mia", "familyName": "Neu"},
        "displayName": "Mia Neu",
        "active": True,
    }
    person = admin.create_scim_user(directory, body)
    with session.refused("the same user name again is 409", refused, status(409)):
        admin.create_scim_user(directory, body)
    found = admin.get_scim_users(directory, filter=f'userName eq "{NEW}@example.com"')
    session.same("a user is found by name", [it["id"] for it in found["Resources"]], [person["id"]])
    found = admin.get_scim_users(directory, filter=f'externalId eq "ext-{NEW}"')
    session.same("a user is found by external id", found["totalResults"], 1)
    bridge = admin.get_scim_user(directory, person["id"])["urn:scim:schemas:extension:atlassian-external:1.0"]
    session.holds("a user leads to the account", bridge["atlassianAccountId"])
    group = admin.create_scim_group(directory, {"schemas": [GROUP], "displayName": NEW, "members": []})
    with session.refused("the same group name again is 409", refused, status(409)):
        admin.create_scim_group(directory, {"schemas": [GROUP], "displayName": NEW})
    add = [{"op": "add", "path": "members", "value": [{"value": person["id"]}]}]
    with session.refused("a PATCH without schemas, as this client sends it, is 400", refused, status(400)):
        admin.patch_scim_group(directory, group["id"], add)
    for _ in range(2):
        changed = patch(admin, directory, "Groups", group["id"], add)
        session.same("adding, once or twice, leaves one", [it["value"] for it in changed["members"]], [person["id"]])
    remove = [{"op": "remove", "path": f'members[value eq "{person["id"]}"]'}]
    session.same("removing", patch(admin, directory, "Groups", group["id"], remove).get("members", []), [])
    with session.refused("an unknown member is 404", refused, status(404)):
        patch(admin, directory, "Groups", group["id"], [{**add[0], "value": [{"value": "nobody"}]}])
    with session.refused("an unknown member in PUT is 400", refused, status(400)):
        wrong = {"schemas": [GROUP], "displayName": NEW, "members": [{"value": "nobody"}]}
        admin.replace_scim_group(directory, group["id"], wrong)
    with session.refused("a filter of two parts is 400", refused, status(400)):
        admin.get_scim_users(directory, filter='userName eq "a" and active eq true')
    leave = [{"op": "replace", "path": "active", "value": False}]
    off = patch(admin, directory, "Users", person["id"], leave)
    session.same("a leaver is inactive", off["active"], False)
    session.same("and comes back", admin.replace_scim_user(directory, person["id"], body)["active"], True)
    for read in (admin.get_scim_schemas, admin.get_scim_resource_types, admin.get_scim_service_provider_config):
        session.holds("the service describes itself", read(directory)["schemas"])
    admin.delete_scim_group(directory, group["id"])
    with session.refused("a deleted group is 404", refused, status(404)):
        admin.get_scim_group(directory, group["id"])
    return person


def links_are_repaired(session, admin, org, directory, person):
    account = person["urn:scim:schemas:extension:atlassian-external:1.0"]["atlassianAccountId"]
    links = admin.get_scim_links(org, account)["data"]
    session.same("an account leads to its record", [it["scimUserId"] for it in links], [person["id"]])
    session.same("so does its address", admin.get_scim_links_for_email(org, f"{NEW}@example.com")["data"], links)
    with session.refused("a synced account cannot be deactivated by hand", requests.HTTPError, status(403)):
        admin.deactivate_user(account)
    admin.unlink_scim_user(org, directory, person["id"])
    session.same("unlinked, it leads nowhere", admin.get_scim_links(org, account)["data"], [])
    admin.deactivate_user(account, message="bye")
    admin.activate_user(account)
    session.holds("and says what may be done", "lifecycle.enablement" in admin.get_user_management_permissions(account))
    CloudAdmin("twin-scim-key").delete_scim_user(directory, person["id"])


def organization_reads(session, admin, org, directory, world):
    session.same("there is one organization", [it["id"] for it in admin.get_organizations()["data"]], [org])
    session.same("it answers", admin.get_organization(org)["data"]["id"], org)
    session.same("it has one directory", [it["directoryId"] for it in admin.get_directories(org)["data"]], [directory])
    truth = world["atlassian"]["organizations"][org]
    names, body = [], {"limit": 50}
    while True:
        page = admin.search_directory_groups(org, directory, body)
        names += [it["name"] for it in page["data"]]
        cursor = page["links"].get("next")
        if not cursor:
            break
        body = {"cursor": cursor}
    session.same("groups/search gives every group once", sorted(names), sorted(truth["groups"]))
    emails, body = [], {"limit": 100}
    while True:
        page = admin.search_directory_users(org, directory, body)
        emails += [it["email"] for it in page["data"]]
        if not page["links"].get("next"):
            break
        body = {"cursor": page["links"]["next"]}
    session.same("users/search gives everybody once", sorted(emails), sorted(truth["people"]))
    session.same("so many are counted", admin.get_directory_users_count(org, directory)["count"], len(emails))
    one = admin.search_directory_users(org, directory, {"emails": [emails[0]]})["data"][0]
    got = admin.get_directory_user(org, directory, one["accountId"])["data"]
    session.same("a person answers by id", got["accountId"], one["accountId"])
    session.holds("the listing is still there", admin.get_groups(org, directory, limit=1)["data"])
    first = admin.search_directory_groups(org, directory, {"limit": 1})["data"][0]
    session.same("a group answers by id", admin.get_group(org, directory, first["id"])["data"]["id"], first["id"])
    with session.refused("an unknown group is 404", requests.HTTPError, status(404)):
        admin.get_group(org, directory, "00000000-0000-0000-0000-000000000000")


def seed(session):
    """A site that owns its groups, with three people, and a group in the organization."""
    people = [{"email": f"solo{n}@solo.example.net", "site": "solo"} for n in range(3)]
    product = {
        "resource": "ari:cloud:jira-software::site/cloud-solo",
        "key": "jira-software",
        "name": "Jira",
        "site": "solo",
    }
    site = {"name": "solo", "cloud_id": "cloud-solo", "products": [product]}
    session.operator.ask("POST", "/atlassian", {"op": "load", "sites": [site], "accounts": people})
    session.operator.ask("POST", "/atlassian", {"op": "group", "name": f"{NEW}-seeded"})
    secret = {"kind": "jira", "realm": "solo", "principal": people[0]["email"], "secret": "solo-token", "scopes": []}
    session.operator.ask("POST", "/credentials", {"secrets": [{**secret, "expires_at": None, "revoked": False}]})
    return people[0]["email"], [it["email"] for it in people[1:]]


def main():
    session = Session("atlassian_client")
    owner, (first, second) = seed(session)
    world = session.operator.get("/world")
    account = {it["email"]: it["id"] for it in world["atlassian"]["accounts"]}
    mine = [it for it in account if it.endswith("@example.com") and it != "sync@example.com"][:2]
    members = world["atlassian"]["organizations"]["org-1"]["people"]
    one, two = [account[it] for it in (mine if len(mine) == 2 else list(members)[:2])]
    sync = {"username": "sync@example.com", "password": "twin-api-token"}
    view = JiraCloud(url=session.url, **sync)
    session.part(jira_works, view, one, two)
    solo = JiraCloud(url=session.url + "/sites/solo", username=owner, password="solo-token")
    session.part(jira_works, solo, account[first], account[second])
    session.part(people_of, solo, f"{NEW}@solo.example.net")
    patient = {"backoff_and_retry": True, "backoff_factor": 0.01, "backoff_jitter": 0.01}
    session.part(jira_is_retried, JiraCloud(url=session.url, **sync, **patient), one)
    with session.refused("a wrong token is 401", requests.HTTPError, status(401)):
        JiraCloud(url=session.url, username="sync@example.com", password="wrong").get_current_user()
    # The host is a constant of the module.
    atlassian.cloud_admin.ADMIN_URL = session.url
    person = session.part(scim_works, CloudAdmin("twin-scim-key"), "scim-1")
    admin = CloudAdmin("twin-org-key")
    session.part(links_are_repaired, admin, "org-1", "scim-1", person)
    session.part(organization_reads, admin, "org-1", "dir-1", session.operator.get("/world"))
    with session.refused("a wrong key is 401", requests.HTTPError, status(401)):
        CloudAdmin("wrong").get_organizations()
    session.end()


main()
