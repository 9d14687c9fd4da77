"""PyPI atlassian-python-api, class ConfluenceCloud: the reads of groups and members that it has.

It changes no group and no membership of Confluence Cloud, and its `get_all_members` asks for pages of 1,000, which the
vendor refuses (atlassian-cloud.md section 5); `documents.py` checks the writes against the document alone.
"""

import uuid

import requests
from atlassian import ConfluenceCloud

from session import Session

NEW = f"conformance-{uuid.uuid4().hex[:6]}"


def status(code):
    return lambda error: getattr(error, "response", None) is not None and error.response.status_code == code


def groups_are_read(session, wiki, people):
    seen, start = [], 0
    while True:
        page = wiki.get_groups(start=start, limit=200)
        seen += page["results"]
        start += len(page["results"])
        if "next" not in page["_links"]:
            break
    mine = next(it for it in seen if it["name"] == NEW)
    session.same("a group answers by id", wiki.get_group(mine["id"])["name"], NEW)
    session.same("and is found in the short listing", NEW in [it["name"] for it in wiki.get_all_groups(limit=200)], True)
    emails, start = [], 0
    while True:
        page = wiki.get_group_members(mine["id"], start=start, limit=1)
        emails += [it["email"] for it in page["results"]]
        start += len(page["results"])
        if "next" not in page["_links"]:
            break
    session.same("members come page by page", sorted(emails), sorted(people))
    with session.refused("a page of a thousand is 400", requests.HTTPError, status(400)):
        wiki.get_all_members(mine["id"])
    with session.refused("an unknown group is 404", requests.HTTPError, status(404)):
        wiki.get_group("00000000-0000-0000-0000-000000000000")


def main():
    session = Session("wiki_client")
    world = session.operator.get("/world/atlassian")
    people = list(world["organizations"]["org-1"]["people"])[:2]
    session.operator.ask("POST", "/atlassian", {"op": "group", "name": NEW, "members": people})
    wiki = ConfluenceCloud(url=session.url, username="sync@example.com", password="twin-api-token")
    session.part(groups_are_read, wiki, people)
    with session.refused("a wrong token is 401", requests.HTTPError, status(401)):
        ConfluenceCloud(url=session.url, username="sync@example.com", password="wrong").get_groups()
    print("wiki_client: changes of groups and memberships are made by no outside client")
    session.end()


main()
