"""The vendor's documents for Data Center as judges, with the defects that their README lists set right."""

import json
import re

import crowd_document
import openapi
import uncovered
from documents_check import Documents
from openapi import OpenApi

FULL = "atlassian-dc/full"
DOCUMENTS = {
    "dc-jira": (f"{FULL}/jira-software-dc-11.3.8.openapi.json", "/rest"),
    "dc-confluence": (f"{FULL}/confluence-dc-10.2.14.openapi.json", ""),
    "dc-bitbucket": (f"{FULL}/bitbucket-dc-10.4.openapi.json", "/rest"),
}
# Written by a third party, for a part of the API.
CROWD = "atlassian-dc/crowd-usermanagement-3.5.community.swagger2.yaml"
# Lists that the documents describe by the schema of one element.
LISTS = (
    "/api/2/project",
    "/api/2/applicationrole",
    "/api/2/user/search",
    "/api/2/project/{projectIdOrKey}/components",
)
# Described as one user; the page is prose.
PAGES = {"/api/2/group/member": "PageBean"}
TEXT = {"type": "string"}
openapi.UNDOCUMENTED |= {
    "dc-jira": {
        "oneOf": [
            {
                "type": "object",
                "required": ["errorMessages", "errors"],
                "additionalProperties": False,
                "properties": {
                    "errorMessages": {"type": "array", "items": TEXT},
                    "errors": {"type": "object", "additionalProperties": TEXT},
                },
            },
            {"type": "object", "required": ["message"], "properties": {"message": TEXT}},
        ]
    },
    "dc-confluence": {"type": "object", "required": ["statusCode", "message"]},
    "dc-bitbucket": {"type": "object", "required": ["errors"]},
    "dc-crowd": {
        "type": "object",
        "required": ["reason", "message"],
        "additionalProperties": False,
        "properties": {"reason": TEXT, "message": TEXT},
    },
}


def mended(text):
    """The document, with lists as lists, media types without parameters, and no body where it says nothing of one."""
    document = json.loads(text)
    operations = (verb for path in document["paths"].values() for verb in path.values() if isinstance(verb, dict))
    for status, answer in (pair for it in operations for pair in it.get("responses", {}).items()):
        content = answer.get("content", {}) if status != "204" else {}
        answer["content"] = {kind.split(";")[0]: it for kind, it in content.items() if it.get("schema")}
    for path in (*LISTS, *PAGES):
        answer = document["paths"].get(path, {}).get("get", {}).get("responses", {}).get("200", {})
        for content in answer.get("content", {}).values():
            if path in PAGES:
                content["schema"] = {"$ref": f"#/components/schemas/{PAGES[path]}"}
            else:
                content["schema"] = {"type": "array", "items": content["schema"]}
    return json.dumps(document)


class DataCenterDocuments(Documents):
    """The judges of Data Center instead of those of the Cloud."""

    def __init__(self, folder):
        super().__init__(folder)
        self.roots = []
        self.judges = []
        for family, (path, root) in DOCUMENTS.items() if folder is not None else ():
            self.roots.append((family.removeprefix("dc-"), root))
            self.judges.append(OpenApi(mended((folder / path).read_text()), family))
        if folder is not None:
            self.judges.append(OpenApi(crowd_document.openapi((folder / CROWD).read_text()), "dc-crowd"))
        self.met = uncovered.Met()

    def check(self, exchange):
        """Takes the instance and the root of its document off the path."""
        found = re.match(r"^/dc/(\w+)(/.*)$", exchange.path)
        if not found or self.folder is None:
            return
        instance, path = found.groups()
        if "/usermanagement/" in path:
            # Of Crowd itself and of Jira as user server, by any version's name.
            instance, path = "crowd", path.replace("/usermanagement/latest/", "/usermanagement/1/")
        root = dict(self.roots).get(instance, "")
        # The older names of the same resources.
        path = path.removeprefix(root).replace("/api/1.0/", "/api/latest/")
        if instance == "jira":
            path = path.replace("/api/latest/", "/api/2/")
        exchange.path = path
        judge = next(it for it in self.judges if it.family == f"dc-{instance}")
        operation = judge.find(exchange.method, exchange.path)
        self.met.note(f"dc-{instance}:{exchange.method} {path}" if operation is None else operation.id, exchange, operation)
        if operation is None and instance == "crowd":
            return
        if operation is None:
            if exchange.status not in (404, 405):
                what = f"{exchange.status}, and no document knows this"
                self.findings.add(f"{instance}: {exchange.method} {path}", what)
            return
        self.statuses[operation.id][exchange.status] += 1

        def report(what, example=""):
            self.findings.add(operation.id, what, example)

        try:
            judge.check(operation, exchange, report)
        except ValueError as error:
            report(f"{exchange.status} cannot be read: {error}")

    def summary(self):
        """Operations that occurred, by product, with the statuses seen."""
        lines = []
        for family in (*DOCUMENTS, "dc-crowd"):
            seen = {it: found for it, found in self.statuses.items() if it.startswith(f"{family}:") and found}
            statuses = sorted({status for found in seen.values() for status in found})
            answers = sum(sum(found.values()) for found in seen.values())
            lines.append(f"  {family}: {len(seen)} operations, {answers} answers checked, statuses {statuses}")
        return "\n".join(lines)
