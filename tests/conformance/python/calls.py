"""The calls of `documents.py`: every operation that the twin plays, in an order in which each finds what it needs.

Words in capitals in braces stand for what the world has or an earlier call made.
"""

import dataclasses

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PRODUCT = "ari:cloud:jira-software::site/conformance"


@dataclasses.dataclass(frozen=True)
class Call:
    """One call and its status; `keep` is what later calls need of its answer, `switches` the ways to answer it."""

    verb: str
    path: str
    status: int
    query: dict
    body: object
    keep: tuple | None
    paged: bool
    troubled: bool
    switches: tuple

    def __str__(self):
        return f"{self.verb} {self.path}"

    def filled(self, names):
        def fill(value):
            if isinstance(value, str):
                for name, known in names.items():
                    value = value.replace("{" + name + "}", known)
                return int(value.removeprefix("number:")) if value.startswith("number:") else value
            if isinstance(value, list):
                return [fill(it) for it in value]
            return {key: fill(it) for key, it in value.items()} if isinstance(value, dict) else value

        return dataclasses.replace(self, path=fill(self.path), query=fill(self.query), body=fill(self.body))


def good(verb, path, status=200, query=None, body=None, keep=None, paged=False, switches=({},)):
    """A call that succeeds; it is tried under faults first."""
    return Call(verb, path, status, query or {}, body, keep, paged, True, switches)


def bad(verb, path, status, query=None, body=None, switches=({},)):
    """A call that the state of the world or the document refuses."""
    return Call(verb, path, status, query or {}, body, None, False, False, switches)


def names(operator):
    """What the calls need of the world, after adding what they need to it."""
    organization = operator.get("/world/atlassian")["organizations"]["org-1"]
    product = {"resource": PRODUCT, "key": "jira-software", "name": "Jira", "site": "acme"}
    org = {"id": "org-1", "name": organization["name"], "directory": "dir-1", "products": [product]}
    people = [{"email": f"doc{n}@example.com", "name": f"Doc {n}"} for n in range(4)]
    people.append({"email": "stranger@nowhere.example.net", "name": "Stranger"})
    groups = [
        {"name": "doc-group", "members": ["doc0@example.com"], "roles": [[PRODUCT, "atlassian/user"]]},
        {"name": "doc-plain"},
        {"name": "doc-default", "default": True},
        {"name": "doc-admins", "admin": True},
        {"name": "doc-team", "team": True},
        {"name": "doc-synced", "scim_directory": "scim-1"},
    ]
    desks = [{"site": "acme", "key": "DOCS", "name": "Documents"}]
    synced = [{"site": "acme", "name": "doc-synced-customers", "scim_managed": True}]
    load = {"op": "load", "organizations": [org], "accounts": people, "groups": groups, "desks": desks}
    operator.ask("POST", "/atlassian", {**load, "customer_organizations": synced})
    world = operator.get("/world/atlassian")
    known = {}
    for name, it in world["organizations"]["org-1"]["groups"].items():
        if name.startswith("doc-"):
            known[name.upper().replace("-", "_")] = it["id"]
    for it in world["accounts"]:
        if it["email"].startswith(("doc", "stranger")):
            known[it["email"].split("@")[0].upper()] = it["id"]
    known["SYNCED_CUSTOMERS"] = world["customer_organizations"]["doc-synced-customers"]["id"]
    return known


DIRECTORY = "/admin/directory/v1"
GOOGLE = [
    good("GET", f"{DIRECTORY}/customers/my_customer"),
    good("GET", f"{DIRECTORY}/users", query={"customer": "my_customer", "maxResults": "2"}, paged=True),
    good("GET", f"{DIRECTORY}/users", query={"customer": "my_customer", "showDeleted": "true", "projection": "full"}),
    good(
        *("POST", f"{DIRECTORY}/users"),
        body={"primaryEmail": "doc@example.com", "name": {"givenName": "D", "familyName": "C"}, "password": "abcdefgh"},
        keep=("USER", ["id"]),
    ),
    good("GET", f"{DIRECTORY}/users/{{USER}}", query={"projection": "full"}),
    good("PATCH", f"{DIRECTORY}/users/{{USER}}", body={"suspended": True}),
    good("PUT", f"{DIRECTORY}/users/{{USER}}", body={"suspended": False, "archived": True}),
    good("POST", f"{DIRECTORY}/users/{{USER}}/makeAdmin", status=204, body={"status": True}),
    good("POST", f"{DIRECTORY}/users/{{USER}}/aliases", body={"alias": "doc-alias@example.com"}),
    good("GET", f"{DIRECTORY}/users/{{USER}}/aliases"),
    good("DELETE", f"{DIRECTORY}/users/{{USER}}/aliases/doc-alias@example.com", status=204),
    good("GET", f"{DIRECTORY}/groups", query={"customer": "my_customer", "maxResults": "3"}, paged=True),
    good(
        *("POST", f"{DIRECTORY}/groups"),
        body={"email": "docs@example.com", "name": "Docs", "description": "All"},
        keep=("LIST", ["id"]),
    ),
    good("GET", f"{DIRECTORY}/groups/{{LIST}}"),
    good("PATCH", f"{DIRECTORY}/groups/{{LIST}}", body={"name": "Documents"}),
    good("PUT", f"{DIRECTORY}/groups/{{LIST}}", body={"email": "documents@example.com"}),
    good("POST", f"{DIRECTORY}/groups/{{LIST}}/aliases", body={"alias": "papers@example.com"}),
    good("GET", f"{DIRECTORY}/groups/{{LIST}}/aliases"),
    good("DELETE", f"{DIRECTORY}/groups/{{LIST}}/aliases/papers@example.com", status=204),
    good("POST", f"{DIRECTORY}/groups/{{LIST}}/members", body={"email": "doc@example.com", "role": "MEMBER"}),
    good("GET", f"{DIRECTORY}/groups/{{LIST}}/members", query={"roles": "MEMBER", "maxResults": "1"}, paged=True),
    good("GET", f"{DIRECTORY}/groups/{{LIST}}/members", query={"includeDerivedMembership": "true"}),
    good("GET", f"{DIRECTORY}/groups/{{LIST}}/members/{{USER}}"),
    good("PATCH", f"{DIRECTORY}/groups/{{LIST}}/members/{{USER}}", body={"role": "OWNER"}),
    good("PUT", f"{DIRECTORY}/groups/{{LIST}}/members/{{USER}}", body={"role": "MANAGER"}),
    good("GET", f"{DIRECTORY}/groups/{{LIST}}/hasMember/{{USER}}"),
    good("POST", f"{DIRECTORY}/groups/{{LIST}}/members", body={"email": "somebody@elsewhere.example.net"}),
    bad("GET", f"{DIRECTORY}/groups/{{LIST}}/hasMember/somebody@elsewhere.example.net", 400),
    bad("GET", f"{DIRECTORY}/users", 400, query={"customer": "my_customer", "maxResults": "501"}),
    bad("GET", f"{DIRECTORY}/users", 400, query={"customer": "my_customer", "orderBy": "age"}),
    bad("GET", f"{DIRECTORY}/users", 400, query={"customer": "my_customer", "sortOrder": "SIDEWAYS"}),
    bad("GET", f"{DIRECTORY}/users", 400, query={"customer": "my_customer", "projection": "all"}),
    bad("GET", f"{DIRECTORY}/users", 400, query={"customer": "my_customer", "query": "isAdmin="}),
    bad("GET", f"{DIRECTORY}/users", 400),
    bad("GET", f"{DIRECTORY}/users/documents@example.com", 400),
    bad("GET", f"{DIRECTORY}/groups", 400, query={"customer": "my_customer", "userKey": "doc@example.com"}),
    bad("GET", f"{DIRECTORY}/groups", 400, query={"customer": "my_customer", "query": "size>3"}),
    bad("POST", f"{DIRECTORY}/groups", 400, body={"name": "without address"}),
    bad("POST", f"{DIRECTORY}/groups", 409, body={"email": "documents@example.com"}),
    bad("POST", f"{DIRECTORY}/groups/{{LIST}}/members", 409, body={"email": "doc@example.com"}),
    bad("POST", f"{DIRECTORY}/groups/{{LIST}}/members", 412, body={"email": "documents@example.com"}),
    bad("DELETE", f"{DIRECTORY}/groups/nothing@example.com", 404),
    good("DELETE", f"{DIRECTORY}/groups/{{LIST}}/members/{{USER}}", status=204),
    good("DELETE", f"{DIRECTORY}/groups/{{LIST}}", status=204),
    good("DELETE", f"{DIRECTORY}/users/{{USER}}", status=204),
    good("POST", f"{DIRECTORY}/users/{{USER}}/undelete", status=204, body={"orgUnitPath": "/"}),
]

ORG1, ORG2 = "/admin/v1/orgs/org-1", "/admin/v2/orgs/org-1"
PLACE = f"{ORG2}/directories/dir-1"
# atlassian-cloud.md section 1.3, with three deletions.
ENDED = (
    *("users/search", "groups/search", "users/invite", "directory/groups"),
    *("directory/users/{DOC0}/suspend-access", "directory/users/{DOC0}/restore-access"),
    *("directory/groups/{DOC_GROUP}/roles/assign", "directory/groups/{DOC_GROUP}/roles/revoke"),
    "directory/groups/{DOC_GROUP}/memberships",
)


def by_status(switch, *statuses):
    """The same call once per status that it may have; the documents list all of them."""
    return tuple({switch: it} for it in statuses)


ORGANIZATION = [
    good("GET", "/admin/v1/orgs"),
    good("GET", ORG1),
    good("GET", f"{ORG1}/users", paged=True),
    good("GET", f"{ORG1}/events", query={"limit": "5"}, paged=True, keep=("EVENT", ["data", 0, "id"])),
    good("GET", f"{ORG1}/events-stream", query={"limit": "5"}),
    good("GET", f"{ORG1}/events/{{EVENT}}"),
    good("GET", f"{ORG1}/event-actions"),
    good("GET", f"{ORG1}/directory/users/{{DOC0}}/last-active-dates"),
    good("GET", f"{ORG2}/directories"),
    good("POST", f"{ORG2}/workspaces", body={}),
    good("GET", f"{PLACE}/users", query={"limit": "2"}, paged=True),
    good("POST", f"{PLACE}/users/search", body={"limit": 2}, paged=True),
    good(
        *("POST", f"{PLACE}/users/search"),
        body={
            "emails": ["doc0@example.com"],
            "expand": ["platformRoles", "counts.resources", "productAccess", "groups"],
        },
    ),
    good("GET", f"{PLACE}/users/count"),
    good("GET", f"{PLACE}/users/stats"),
    good("GET", f"{PLACE}/users/{{DOC0}}"),
    good("GET", f"{PLACE}/users/{{DOC0}}/role-assignments"),
    good("GET", f"{PLACE}/groups", query={"limit": "2"}, paged=True),
    good("POST", f"{PLACE}/groups/search", body={"limit": 2}, paged=True),
    good(
        *("POST", f"{PLACE}/groups/search"),
        body={"groupNames": ["doc-group"], "expand": ["counts.resources", "counts.users"]},
    ),
    good("GET", f"{PLACE}/groups/count"),
    good("GET", f"{PLACE}/groups/stats"),
    good("GET", f"{PLACE}/groups/{{DOC_GROUP}}"),
    good("GET", f"{PLACE}/groups/{{DOC_GROUP}}/role-assignments"),
    bad("GET", "/admin/v1/orgs/org-unknown", 404),
    bad("GET", f"{PLACE}/users/712020:nobody", 404),
    bad("GET", f"{PLACE}/groups/nothing", 404),
    bad("POST", f"{PLACE}/users/search", 400, body={"limit": 101}),
    bad("POST", f"{PLACE}/users/search", 400, body={"cursor": "nonsense"}),
    bad("POST", f"{PLACE}/users/search", 400, body={"emails": ["a@b.c"], "searchTerm": "a"}),
    bad("POST", f"{PLACE}/groups/search", 400, body={"groupNames": ["a"], "searchTerm": "a"}),
    bad("GET", f"{PLACE}/groups", 400, query={"cursor": "nonsense"}),
    *(bad("POST", f"{ORG1}/{it}", 410, body={}) for it in ENDED),
    *(
        bad("DELETE", f"{ORG1}/directory/{it}", 410)
        for it in ("groups/{DOC_GROUP}", "groups/{DOC_GROUP}/memberships/{DOC0}", "users/{DOC0}")
    ),
]

# No client of others makes these.
ORGANIZATION_WRITES = [
    good("POST", f"{PLACE}/groups", status=201, body={"name": "doc-made", "description": "made"}),
    bad("POST", f"{PLACE}/groups", 409, body={"name": "DOC-MADE"}),
    bad("POST", f"{PLACE}/groups", 400, body={"nothing": 1}),
    good("POST", f"{PLACE}/groups/{{DOC_GROUP}}/memberships", body={"accountId": "{DOC1}"}),
    bad("POST", f"{PLACE}/groups/{{DOC_GROUP}}/memberships", 409, body={"accountId": "{DOC1}"}),
    bad("POST", f"{PLACE}/groups/{{DOC_GROUP}}/memberships", 404, body={"accountId": "712020:nobody"}),
    bad("POST", f"{PLACE}/groups/{{DOC_GROUP}}/memberships", 400, body={"account_id": "{DOC1}"}),
    bad("POST", f"{PLACE}/groups/{{DOC_SYNCED}}/memberships", 403, body={"accountId": "{DOC1}"}),
    good("DELETE", f"{PLACE}/groups/{{DOC_GROUP}}/memberships/{{DOC1}}", status=204),
    bad("DELETE", f"{PLACE}/groups/{{DOC_GROUP}}/memberships/{{DOC1}}", 404),
    good(
        *("POST", f"{PLACE}/groups/{{DOC_PLAIN}}/role-assignments/assign"),
        status=200,
        body={"resourceId": PRODUCT, "roleId": "atlassian/user"},
        switches=by_status("org_role_status", 200),
    ),
    bad(
        *("POST", f"{PLACE}/groups/{{DOC_PLAIN}}/role-assignments/assign", 400),
        body={"resourceId": PRODUCT, "roleId": "atlassian/king"},
    ),
    good(
        *("POST", f"{PLACE}/groups/{{DOC_PLAIN}}/role-assignments/revoke"),
        status=204,
        body={"resourceId": PRODUCT, "roleId": "atlassian/user"},
        switches=by_status("org_role_status", 204),
    ),
    good(
        *("POST", f"{ORG1}/users/{{DOC1}}/role-assignments/assign"),
        status=204,
        body={"role": "atlassian/org-admin"},
        switches=by_status("org_role_status", 204),
    ),
    good(
        *("POST", f"{ORG1}/users/{{DOC1}}/role-assignments/revoke"),
        status=200,
        body={"role": "atlassian/org-admin"},
        switches=by_status("org_role_status", 200),
    ),
    good("POST", f"{ORG1}/users/{{DOC1}}/roles/assign", 204, body={"role": "atlassian/user", "resource": PRODUCT}),
    good("POST", f"{ORG1}/users/{{DOC1}}/roles/revoke", 204, body={"role": "atlassian/user", "resource": PRODUCT}),
    good("POST", f"{PLACE}/users/{{DOC2}}/suspend", switches=by_status("org_suspend_status", 200)),
    good("POST", f"{PLACE}/users/{{DOC2}}/restore", 204, switches=by_status("org_suspend_status", 204)),
    good("DELETE", f"{PLACE}/users/{{DOC2}}", 202, switches=by_status("org_delete_user_status", 202)),
    good(
        *("POST", f"{ORG2}/users/invite"),
        body={"emails": ["invited@example.com"], "additionalGroups": ["{DOC_GROUP}"], "sendNotification": False},
        switches=by_status("org_invite_status", 200),
    ),
    bad("POST", f"{ORG2}/users/invite", 402, body={"emails": ["x@example.com"]}, switches=({"org_paid": False},)),
    bad("POST", f"{ORG2}/users/invite", 400, body={"emails": []}),
    bad("DELETE", f"{PLACE}/groups/{{DOC_DEFAULT}}", 403),
    bad("DELETE", f"{PLACE}/groups/{{DOC_ADMINS}}", 403),
    bad("DELETE", f"{PLACE}/groups/{{DOC_GROUP}}", 409, switches=({"org_delete_non_empty": "refuse"},)),
    bad("DELETE", f"{PLACE}/groups/{{DOC_TEAM}}", 403),
    good("DELETE", f"{PLACE}/groups/{{DOC_PLAIN}}", 204, switches=by_status("org_delete_group_status", 204)),
]

MANAGE = "/users/{DOC3}/manage"
MANAGEMENT = [
    good("GET", MANAGE),
    good("POST", f"{MANAGE}/lifecycle/disable", 204, body={"message": "bye"}),
    good("POST", f"{MANAGE}/lifecycle/enable", 204, body={}),
    good("GET", f"{MANAGE}/profile"),
    good("PATCH", f"{MANAGE}/profile", body={"name": "Doc Three", "extended_profile": {"department": "R&D"}}),
    good("PUT", f"{MANAGE}/email", 204, body={"email": "doc3@example.com"}),
    bad("PUT", f"{MANAGE}/email", 403, body={"email": "doc3@nowhere.example.net"}),
    bad("PATCH", "/users/{STRANGER}/manage/profile", 403, body={"name": "X"}),
    bad("GET", "/users/712020:nobody/manage", 404),
    bad("POST", "/users/{STRANGER}/manage/lifecycle/disable", 403, body={}),
]

SCIM = "/scim/directory/scim-1"
PERSON = {
    "schemas": [USER, ENTERPRISE],
    "userName": "mia@example.com",
    "externalId": "ext-mia",
    "active": True,
    "name": {"givenName": "Mia", "familyName": "Neu"},
    "displayName": "Mia Neu",
    "nickName": "mia",
    "title": "Engineer",
    "timezone": "Europe/Berlin",
    "preferredLanguage": "de",
    "department": "R&D",
    "organization": "Example",
    "emails": [{"value": "mia@example.com", "type": "work", "primary": True}],
    "phoneNumbers": [{"value": "+49 1", "type": "work", "primary": True}],
    ENTERPRISE: {"organization": "Example", "department": "R&D"},
}
MEMBERS = {"op": "add", "path": "members", "value": [{"value": "{PERSON}"}]}
PROVISIONING = [
    *(good("GET", f"{SCIM}/{it}") for it in ("ServiceProviderConfig", "Schemas", "ResourceTypes")),
    *(good("GET", f"{SCIM}/Schemas/{it}") for it in (USER, GROUP, ENTERPRISE)),
    *(good("GET", f"{SCIM}/ResourceTypes/{it}") for it in ("User", "Group")),
    good("POST", f"{SCIM}/Users", 201, body=PERSON, keep=("PERSON", ["id"])),
    good("GET", f"{SCIM}/Users", query={"startIndex": "1", "count": "1"}, paged=True),
    good("GET", f"{SCIM}/Users", query={"filter": 'userName eq "mia@example.com"', "attributes": "userName"}),
    good("GET", f"{SCIM}/Users/{{PERSON}}"),
    good("GET", f"{SCIM}/Users/{{PERSON}}", query={"excludedAttributes": "groups,emails.type"}),
    good("PUT", f"{SCIM}/Users/{{PERSON}}", body=PERSON),
    good(
        *("PATCH", f"{SCIM}/Users/{{PERSON}}"),
        body={"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]},
    ),
    good("POST", f"{SCIM}/Groups", 201, body={"schemas": [GROUP], "displayName": "doc-scim"}, keep=("CREW", ["id"])),
    good("GET", f"{SCIM}/Groups", query={"filter": 'displayName eq "doc-scim"'}, paged=True),
    good("PATCH", f"{SCIM}/Groups/{{CREW}}", body={"schemas": [PATCH], "Operations": [MEMBERS]}),
    good("GET", f"{SCIM}/Groups/{{CREW}}"),
    good("GET", f"{SCIM}/Users/{{PERSON}}"),
    good(
        *("PUT", f"{SCIM}/Groups/{{CREW}}"),
        body={"schemas": [GROUP], "displayName": "doc-scim", "members": [{"value": "{PERSON}"}]},
    ),
    bad("GET", f"{SCIM}/Users", 400, query={"filter": 'title eq "x"'}),
    bad("GET", f"{SCIM}/Users/nobody", 404),
    bad("POST", f"{SCIM}/Users", 409, body=PERSON),
    bad("POST", f"{SCIM}/Users", 400, body={"userName": "x"}),
    bad("PUT", f"{SCIM}/Users/nobody", 404, body=PERSON),
    bad("PATCH", f"{SCIM}/Users/{{PERSON}}", 400, body={"schemas": [PATCH], "Operations": [{"op": "move"}]}),
    bad("GET", f"{SCIM}/Groups", 400, query={"filter": "displayName co a"}),
    bad("POST", f"{SCIM}/Groups", 409, body={"schemas": [GROUP], "displayName": "doc-scim"}),
    bad("POST", f"{SCIM}/Groups", 400, body={"schemas": [GROUP]}),
    bad(
        *("PUT", f"{SCIM}/Groups/{{CREW}}", 400),
        body={"schemas": [GROUP], "displayName": "doc-scim", "members": [{"value": "nobody"}]},
    ),
    bad("PATCH", f"{SCIM}/Groups/nothing", 404, body={"schemas": [PATCH], "Operations": [MEMBERS]}),
    bad("DELETE", f"{SCIM}/Groups/nothing", 404),
    bad("DELETE", f"{SCIM}/Users/nobody", 404),
    good("DELETE", f"{SCIM}/Groups/{{CREW}}", 204),
    good("DELETE", f"{SCIM}/Users/{{PERSON}}", 204),
]

REST = "/rest/api/3"
BY_ID = {"groupId": "{TEAM}"}
JIRA = [
    good("GET", f"{REST}/myself"),
    good("GET", f"{REST}/myself", query={"expand": "groups,applicationRoles"}),
    good("GET", f"{REST}/serverInfo"),
    good("GET", f"{REST}/mypermissions", query={"permissions": "ADMINISTER,USER_PICKER"}),
    good("GET", f"{REST}/auditing/record"),
    good("GET", f"{REST}/applicationrole", keep=("ROLE", [0, "key"])),
    good("GET", f"{REST}/applicationrole/{{ROLE}}"),
    good("POST", f"{REST}/group", 201, body={"name": "doc-jira"}, keep=("TEAM", ["groupId"])),
    good("POST", f"{REST}/group/user", 201, query=BY_ID, body={"accountId": "{DOC0}"}),
    good("GET", f"{REST}/group", query={**BY_ID, "expand": "users"}),
    good("GET", f"{REST}/group/bulk", query={"maxResults": "2"}, paged=True),
    good("GET", f"{REST}/group/member", query={**BY_ID, "maxResults": "1", "includeInactiveUsers": "true"}, paged=True),
    good("GET", f"{REST}/groups/picker", query={"query": "doc"}),
    good("GET", f"{REST}/groupuserpicker", query={"query": "doc"}),
    good("GET", f"{REST}/user", query={"accountId": "{DOC0}", "expand": "groups,applicationRoles"}),
    good("GET", f"{REST}/user/groups", query={"accountId": "{DOC0}"}),
    good("GET", f"{REST}/user/search", query={"query": "doc"}),
    good("GET", f"{REST}/user/bulk", query={"accountId": "{DOC0}"}),
    good("GET", f"{REST}/users/search", query={"maxResults": "3"}),
    good("GET", f"{REST}/users", query={"maxResults": "3"}),
    good(
        *("POST", f"{REST}/user", 201),
        body={"emailAddress": "new@example.com", "products": []},
        keep=("NEW", ["accountId"]),
    ),
    bad("GET", f"{REST}/user/email", 400, query={"accountId": "{DOC0}"}),
    bad("GET", f"{REST}/user/email/bulk", 400, query={"accountId": "{DOC0}"}),
    bad("GET", f"{REST}/user", 404, query={"accountId": "712020:nobody"}),
    bad("GET", f"{REST}/applicationrole/nothing", 404),
    bad("POST", f"{REST}/group", 400, body={"name": "doc-jira"}),
    bad("POST", f"{REST}/group", 400, body={"name": ""}),
    bad("POST", f"{REST}/group/user", 400, query=BY_ID, body={"accountId": "{DOC0}"}),
    bad("POST", f"{REST}/group/user", 404, query={"groupId": "nothing"}, body={"accountId": "{DOC0}"}),
    bad("POST", f"{REST}/group/user", 403, query={"groupId": "{DOC_SYNCED}"}, body={"accountId": "{DOC0}"}),
    bad("GET", f"{REST}/group/member", 400, query={"groupId": "{TEAM}", "groupname": "doc-jira"}),
    bad("GET", f"{REST}/group/member", 404, query={"groupId": "nothing"}),
    bad("DELETE", f"{REST}/group/user", 400, query={**BY_ID, "accountId": "{DOC3}"}),
    bad("DELETE", f"{REST}/group", 404, query={"groupId": "nothing"}),
    bad("DELETE", f"{REST}/group", 400, query={"groupId": "{DOC_DEFAULT}"}),
    good("DELETE", f"{REST}/group/user", query={**BY_ID, "accountId": "{DOC0}"}),
    good("DELETE", f"{REST}/group", query=BY_ID),
    good("DELETE", f"{REST}/user", 204, query={"accountId": "{NEW}"}),
]

SD = "/rest/servicedeskapi"
DESK = f"{SD}/servicedesk/DOCS"
CUSTOMERS = f"{SD}/organization/{{CUSTOMERS}}"
ONE = {"accountIds": ["{DOC0}"]}
NOBODY = {"accountIds": ["712020:nobody"]}
SERVICE_DESK = [
    # Open to everybody.
    bad("GET", f"{SD}/info", 200),
    good("GET", f"{SD}/servicedesk", paged=True),
    good("GET", DESK),
    good(
        *("POST", f"{SD}/customer", 201),
        body={"email": "doc-customer@partner.example.net", "displayName": "Doc"},
        keep=("CUSTOMER", ["accountId"]),
    ),
    good("POST", f"{DESK}/customer", 204, body=ONE),
    good("POST", f"{DESK}/customer", 204, body=ONE),
    good("GET", f"{DESK}/customer", query={"query": "doc", "limit": "1"}, paged=True),
    good("DELETE", f"{DESK}/customer", 204, body=ONE),
    good("DELETE", f"{DESK}/customer", 204, body=ONE),
    good("POST", f"{SD}/organization", 201, body={"name": "doc-customers"}, keep=("CUSTOMERS", ["id"])),
    good("POST", f"{SD}/organization", 201, body={"name": "Doc-Customers"}),
    good("GET", f"{SD}/organization", query={"limit": "1"}, paged=True),
    good("GET", CUSTOMERS),
    good("POST", f"{CUSTOMERS}/user", 204, body=ONE),
    good("GET", f"{CUSTOMERS}/user", paged=True),
    good("GET", f"{SD}/organization", query={"accountId": "{DOC0}"}),
    good("DELETE", f"{CUSTOMERS}/user", 204, body=ONE),
    good("PUT", f"{CUSTOMERS}/property/source", 201, body={"group": "g"}),
    good("GET", f"{CUSTOMERS}/property"),
    good("GET", f"{CUSTOMERS}/property/source"),
    good("DELETE", f"{CUSTOMERS}/property/source", 204),
    good("POST", f"{DESK}/organization", 204, body={"organizationId": "number:{CUSTOMERS}"}),
    good("GET", f"{DESK}/organization"),
    good("DELETE", f"{DESK}/organization", 204, body={"organizationId": "number:{CUSTOMERS}"}),
    bad("GET", f"{SD}/servicedesk/NONE", 404),
    bad("POST", f"{SD}/servicedesk/NONE/customer", 404, body=ONE),
    bad("POST", f"{DESK}/customer", 400, body=NOBODY),
    bad("POST", f"{CUSTOMERS}/user", 400, body=NOBODY),
    bad("POST", f"{SD}/organization/none/user", 404, body=ONE),
    bad("POST", f"{SD}/organization/{{SYNCED_CUSTOMERS}}/user", 403, body=ONE),
    bad("POST", f"{SD}/organization", 400, body={"name": ""}),
    bad("POST", f"{SD}/customer", 400, body={"email": "nobody"}),
    bad("POST", f"{SD}/customer", 400, body={"email": "doc-customer@partner.example.net"}),
    bad(
        *("POST", f"{SD}/customer", 409),
        query={"strictConflictStatusCode": "true"},
        body={"email": "doc-customer@partner.example.net"},
    ),
    good("DELETE", CUSTOMERS, 204),
    bad("DELETE", CUSTOMERS, 404),
    good("PUT", f"{SD}/customer/user/{{CUSTOMER}}/revoke-portal-only-access", 204),
    bad("PUT", f"{SD}/customer/user/{{DOC0}}/revoke-portal-only-access", 400),
]

WIKI = "/wiki/rest/api"
OF = {"groupId": "{PAGES}"}
CONFLUENCE = [
    good("GET", f"{WIKI}/user/current"),
    good("POST", f"{WIKI}/group", 201, body={"name": "doc-wiki"}, keep=("PAGES", ["id"])),
    good("GET", f"{WIKI}/group", query={"limit": "2"}, paged=True),
    good("GET", f"{WIKI}/group", query={"accessType": "admin"}),
    good("GET", f"{WIKI}/group/by-id", query={"id": "{PAGES}"}),
    good("GET", f"{WIKI}/group/picker", query={"query": "doc", "shouldReturnTotalSize": "true"}),
    good("POST", f"{WIKI}/group/userByGroupId", 201, query=OF, body={"accountId": "{DOC0}"}),
    good("POST", f"{WIKI}/group/userByGroupId", 201, query=OF, body={"accountId": "{DOC0}"}),
    good("GET", f"{WIKI}/group/{{PAGES}}/membersByGroupId", query={"limit": "1"}, paged=True),
    good("GET", f"{WIKI}/user/memberof", query={"accountId": "{DOC0}"}),
    good("GET", f"{WIKI}/search/user", query={"cql": "type=user", "limit": "3"}, paged=True),
    good("GET", f"{WIKI}/user", query={"accountId": "{DOC0}"}),
    good("GET", f"{WIKI}/user/bulk", query={"accountId": "{DOC0}"}),
    good("DELETE", f"{WIKI}/group/userByGroupId", 204, query={**OF, "accountId": "{DOC0}"}),
    good("DELETE", f"{WIKI}/group/userByGroupId", 204, query={**OF, "accountId": "{DOC0}"}),
    bad("POST", f"{WIKI}/group", 400, body={"name": "Doc-Wiki"}),
    bad("POST", f"{WIKI}/group/userByGroupId", 404, query=OF, body={"accountId": "712020:nobody"}),
    bad("POST", f"{WIKI}/group/userByGroupId", 404, query={"groupId": "none"}, body={"accountId": "{DOC0}"}),
    bad("POST", f"{WIKI}/group/userByGroupId", 403, query={"groupId": "{DOC_SYNCED}"}, body={"accountId": "{DOC0}"}),
    bad("GET", f"{WIKI}/group/{{PAGES}}/membersByGroupId", 400, query={"limit": "201"}),
    bad("GET", f"{WIKI}/group/by-id", 404, query={"id": "none"}),
    bad("GET", f"{WIKI}/user", 404, query={"accountId": "712020:nobody"}),
    bad("GET", f"{WIKI}/search/user", 400, query={"cql": "nonsense"}),
    good("DELETE", f"{WIKI}/group/by-id", 204, query={"id": "{PAGES}"}),
    bad("DELETE", f"{WIKI}/group/by-id", 404, query={"id": "{PAGES}"}),
]

CALLS = [*GOOGLE, *ORGANIZATION, *JIRA, *PROVISIONING, *MANAGEMENT, *ORGANIZATION_WRITES, *SERVICE_DESK, *CONFLUENCE]
