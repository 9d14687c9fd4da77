"""PyPI scim2-client, a strict client of RFC 7643 and 7644, and the checks of PyPI scim2-tester on top of it.

The strict client reads what the service says of itself and holds every answer to it. What it or the tester finds is a
deviation like one from a document: Atlassian has some, and `allowed.toml` names each.
"""

import random
import uuid

import httpx2
from scim2_client import SCIMClientException
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import Error, PatchOp, PatchOperation, SCIMException, ScimPolicy, ScimProvider, SearchRequest
from scim2_tester import Status, check_server

from session import Session

NEW = f"conformance-{uuid.uuid4().hex[:6]}"
BAD = (Status.ERROR, Status.CRITICAL, Status.DEVIATION)


def client(session, key="twin-scim-key", unknown=ScimPolicy.Unknown.ignore):
    base = httpx2.Client(
        base_url=session.url + "/scim/directory/scim-1",
        headers={"Authorization": f"Bearer {key}"},
        trust_env=False,
        timeout=60,
    )
    return SyncSCIMClient(base, provider=ScimProvider(policy=ScimPolicy(unknown=unknown)))


def people_and_groups(session, scim):
    user_model, group_model = scim.get_resource_model("User"), scim.get_resource_model("Group")
    session.holds("the service describes users and groups", user_model and group_model)
    email = f"{NEW}@example.com"
    wanted = {"user_name": email, "emails": [{"value": email, "type": "work", "primary": True}], "active": True}
    person = scim.create(user_model(**wanted, display_name="Mia Neu", external_id=f"ext-{NEW}"))
    session.same("a created user answers by id", scim.query(user_model, person.id).user_name, email)
    again = scim.create(user_model(**wanted), raise_scim_errors=False)
    session.holds("the same user name is a uniqueness error", isinstance(again, Error), again)
    session.same("with status and type of RFC 7644", (again.status, again.scim_type), (409, "uniqueness"))
    found = scim.query(user_model, query_parameters=SearchRequest(filter=f'userName eq "{email}"'))
    session.same("a filter finds the user", [it.id for it in found.resources], [person.id])
    pages, start = [], 1
    while start <= (page := scim.query(user_model, query_parameters={"startIndex": start, "count": 1})).total_results:
        pages += [it.id for it in page.resources]
        start += page.items_per_page
    session.same("paging by one gives everybody once", len(pages), len(set(pages)))
    group = scim.create(group_model(display_name=NEW))
    members = PatchOperation(op=PatchOperation.Op.add, path="members", value=[{"value": person.id}])
    changed = scim.modify(group_model, group.id, PatchOp[group_model](operations=[members]))
    session.same("a member is added", [it.value for it in changed.members], [person.id])
    members = PatchOperation(op=PatchOperation.Op.remove, path=f'members[value eq "{person.id}"]')
    changed = scim.modify(group_model, group.id, PatchOp[group_model](operations=[members]))
    session.holds("and removed", not changed.members, changed)
    leaver = PatchOperation(op=PatchOperation.Op.replace_, path="active", value=False)
    changed = scim.modify(user_model, person.id, PatchOp[user_model](operations=[leaver]))
    session.same("a leaver is inactive", changed.active, False)
    person.active = True
    session.same("a replaced user is active again", scim.replace(person).active, True)
    scim.delete(group_model, group.id)
    scim.delete(user_model, person.id)
    gone = scim.query(user_model, person.id, raise_scim_errors=False)
    session.same("a deleted user is 404", gone.status, 404)


def strictest(session):
    """A client that takes only attributes that the service has described."""
    scim = client(session, unknown=ScimPolicy.Unknown.forbid)
    scim.discover()
    user_model = scim.get_resource_model("User")
    email = f"{NEW}-strict@example.com"
    try:
        scim.create(user_model(user_name=email, emails=[{"value": email, "primary": True}]))
    except SCIMClientException as error:
        extension = "urn:scim:schemas:extension:atlassian-external:1.0"
        seen = str(error.__cause__)
        session.holds("nothing but Atlassian's extension is unknown", seen.count("type=extra_forbidden") == 1, seen)
        if extension in seen:
            session.deviation("scim2-client:User", f"{extension} is not described by the service")


def tester(session, scim):
    # Its values are random; the same ones each time.
    random.seed(1)
    results = check_server(scim)
    for result in results:
        if result.status in BAD:
            name = f"scim-tester:{result.resource_type or 'service'}:{result.title}"
            session.deviation(name, f"{result.status.name}: {result.reason}")
    passed = sum(it.status in (Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE) for it in results)
    print(f"scim_client: {len(results)} checks of scim2-tester, {passed} passed")
    session.holds("the tester got to creating and changing", len(results) > 20, len(results))


def main():
    session = Session("scim_client")
    scim = client(session)
    scim.discover()
    session.part(people_and_groups, scim)
    with session.refused("a wrong key is not a SCIM answer", (SCIMClientException, SCIMException)):
        client(session, "wrong").discover()
    session.part(strictest)
    session.part(tester, client(session))
    session.end()


main()
