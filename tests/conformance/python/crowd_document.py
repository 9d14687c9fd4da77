"""The document for Crowd's `usermanagement`, as a judge like the others.

It is Swagger 2 in YAML, written by a third party for a part of the API. What it uses of YAML is little: maps and lists by
indentation, quoted and plain scalars.
"""

import json
import re

LINE = re.compile(r"^( *)(- )?(.*?)\s*$")
KEY = re.compile(r'^("[^"]*"|[^:"]+):(?: +(.*))?$')
BASE = "/rest/usermanagement/1"


def read(text):
    """The document as a value."""
    lines = []
    for raw in text.splitlines():
        if raw.strip() and not raw.lstrip().startswith("#"):
            indent, dash, rest = LINE.match(raw).groups()
            if dash:
                lines.append((len(indent), True, None))
            lines.append((len(indent) + len(dash or ""), False, rest))
    value, end = _block(lines, 0, 0)
    if end != len(lines):
        raise ValueError(f"the document cannot be read beyond {lines[end]}")
    return value


def _block(lines, at, indent):
    """The list or map that begins here, and where it ends."""
    if lines[at][1]:
        items = []
        while at < len(lines) and lines[at][:2] == (indent, True):
            inner = lines[at + 1]
            if KEY.match(inner[2]):
                item, at = _block(lines, at + 1, inner[0])
            else:
                item, at = _scalar(inner[2]), at + 2
            items.append(item)
        return items, at
    result = {}
    while at < len(lines) and lines[at][:2] == (indent, False):
        key, value = KEY.match(lines[at][2]).groups()
        at += 1
        if value is not None:
            result[_scalar(key)] = _scalar(value)
            continue
        # A list may stand as far in as the key that it belongs to.
        below = at < len(lines) and (lines[at][0] > indent or lines[at][:2] == (indent, True))
        result[_scalar(key)], at = _block(lines, at, lines[at][0]) if below else (None, at)
    return result, at


def _scalar(text):
    if text[:1] in "\"'":
        return text[1:-1]
    return {"true": True, "false": False, "[]": [], "{}": {}}.get(text, text)


def openapi(text):
    """The same as OpenAPI 3, as text."""
    document = read(text)
    for path in document["paths"].values():
        for verb in path.values():
            body = next((it for it in verb.get("parameters", []) if it["in"] == "body"), None)
            verb["parameters"] = [_parameter(it) for it in verb.get("parameters", []) if it["in"] != "body"]
            if body:
                verb["requestBody"] = {"content": {"application/json": {"schema": body["schema"]}}}
            for answer in verb["responses"].values():
                if "schema" in answer:
                    answer["content"] = {"application/json": {"schema": answer.pop("schema")}}
    paths = {BASE + path: it for path, it in document["paths"].items()}
    whole = {"paths": paths, "components": {"schemas": document["definitions"]}}
    return json.dumps(whole).replace("#/definitions/", "#/components/schemas/")


def _parameter(it):
    return {"name": it["name"], "in": it["in"], "required": it.get("required", False), "schema": {"type": it["type"]}}
