"""PyPI atlassian-python-api, class ServiceDesk: desks, customers, organizations of customers, portal-only accounts.

No client of others revokes a portal-only account or reads properties of an organization; `documents.py` checks those
against the document alone.
"""

import uuid

import requests
from atlassian import ServiceDesk

from session import Session

NEW = f"conformance-{uuid.uuid4().hex[:6]}"


def status(code, text=""):
    def has(error):
        # The client raises its own errors for 400, with the answer behind them.
        answer = getattr(error, "response", None)
        if answer is None:
            answer = getattr(error.reason, "response", None) if hasattr(error, "reason") else None
        return answer is not None and answer.status_code == code and text in answer.text

    return has


def addresses(page):
    return sorted(it["emailAddress"] for it in page["values"])


def customers_come_and_go(session, desk, staff):
    one = desk.get_service_desk_by_id("HELP")
    session.same("a desk answers by its project's key", one["projectKey"], "HELP")
    session.holds("it is listed", one["id"] in [it["id"] for it in desk.get_service_desks()])
    made = desk.create_customer("Pia Partner", f"{NEW}@partner.example.net")
    pia = made["accountId"]
    session.holds("a new customer is a portal-only account", pia.startswith("qm:"), pia)
    with session.refused("the same address again is 400", requests.HTTPError, status(400)):
        desk.create_customer("Pia Partner", f"{NEW}@partner.example.net")
    for _ in range(2):
        desk.add_customers(one["id"], list_of_accountids=[pia, staff])
    seen = desk.get_customers(one["id"])
    session.same("adding twice is adding", len(seen["values"]), 2)
    found = desk.get_customers(one["id"], query=NEW)
    session.same("a customer is found by address", addresses(found), [f"{NEW}@partner.example.net"])
    for _ in range(2):
        desk.remove_customers(one["id"], list_of_accountids=[staff])
    session.same("removing twice is removing", len(desk.get_customers(one["id"])["values"]), 1)
    with session.refused("an unknown account is 400", requests.HTTPError, status(400)):
        desk.add_customers(one["id"], list_of_accountids=["712020:nobody"])
    with session.refused("an unknown desk is 404", requests.HTTPError, status(404)):
        desk.get_service_desk_by_id("NONE")
    return one["id"], pia


def organizations_come_and_go(session, desk, place, pia, staff):
    made = desk.create_organization(NEW)
    session.same("an existing name gives the existing one", desk.create_organization(NEW)["id"], made["id"])
    for _ in range(2):
        desk.add_users_to_organization(made["id"], account_list=[pia, staff])
    session.same("everybody is in it", len(desk.get_users_in_organization(made["id"])["values"]), 2)
    session.same("a page may be short", len(desk.get_users_in_organization(made["id"], start=1, limit=1)["values"]), 1)
    for _ in range(2):
        desk.remove_users_from_organization(made["id"], account_list=[staff])
    session.same("one has left", len(desk.get_users_in_organization(made["id"])["values"]), 1)
    for _ in range(2):
        desk.add_organization(place, int(made["id"]))
    of_desk = desk.get_organisations(service_desk_id=place)["values"]
    session.same("the desk has it", [it["name"] for it in of_desk], [NEW])
    for _ in range(2):
        desk.remove_organization(place, int(made["id"]))
    session.same("it answers by id", desk.get_organization(made["id"])["name"], NEW)
    session.holds("it is listed", NEW in [it["name"] for it in desk.get_organisations()["values"]])
    desk.delete_organization(made["id"])
    with session.refused("a deleted one is 404", requests.HTTPError, status(404)):
        desk.get_organization(made["id"])


def is_retried(session, url, sync, place):
    patient = {"backoff_and_retry": True, "backoff_factor": 0.01, "backoff_jitter": 0.01}
    desk = ServiceDesk(url=url, **sync, **patient)
    with session.operator.fault(family="atlassian.servicedesk", times=2, kind="throttle", retry_after="0"):
        session.holds("throttling is waited out", desk.get_customers(place)["values"])


def main():
    session = Session("desk_client")
    session.operator.ask("POST", "/atlassian", {"op": "load", "desks": [{"site": "acme", "key": "HELP", "name": "Help"}]})
    world = session.operator.get("/world/atlassian")
    staff = next(it["id"] for it in world["accounts"] if it["status"] == "active")
    sync = {"username": "sync@example.com", "password": "twin-api-token", "advanced_mode": False}
    desk = ServiceDesk(url=session.url, **sync)
    place, pia = session.part(customers_come_and_go, desk, staff) or ("HELP", staff)
    session.part(organizations_come_and_go, desk, place, pia, staff)
    session.part(is_retried, session.url, sync, place)
    with session.refused("a wrong token is 401", requests.HTTPError, status(401)):
        ServiceDesk(url=session.url, username="sync@example.com", password="wrong").get_service_desks()
    session.end()


main()
