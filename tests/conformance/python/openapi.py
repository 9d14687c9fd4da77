"""Atlassian's OpenAPI documents as a judge: which operation a request calls, and whether its answer is one."""

import json
import re
import urllib.parse

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from discovery import problems

VERBS = ("get", "post", "put", "patch", "delete")
FORMATS = {
    "date-time": r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$",
    "date": r"^\d{4}-\d\d-\d\d$",
    "uri": r"^[a-z][a-z0-9+.-]*:",
    "email": r"^[^@\s]+@[^@\s]+$",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
}
KEPT = (
    *("type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "uniqueItems"),
    *("required", "minProperties", "maxProperties", "multipleOf"),
)

# Bodies of error answers for which a document has no schema: atlassian-cloud.md sections 1.6, 2, 3.1 and 4.
TEXT = {"type": "string"}
UNDOCUMENTED = {
    "org": {
        "oneOf": [
            {
                "type": "object",
                "required": ["errors"],
                "additionalProperties": False,
                "properties": {
                    "errors": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["id", "status", "code", "title"],
                            "additionalProperties": False,
                            "properties": {it: TEXT for it in ("id", "status", "code", "title", "detail")},
                        },
                    }
                },
            },
            {
                "type": "object",
                "required": ["code", "message"],
                "additionalProperties": False,
                "properties": {"code": {"type": "integer"}, "message": TEXT},
            },
        ]
    },
    "users": {
        "type": "object",
        "required": ["key"],
        "additionalProperties": False,
        "properties": {"key": TEXT, "context": {"type": "object"}},
    },
    "scim": {
        "type": "object",
        "required": ["schemas", "status"],
        "additionalProperties": False,
        "properties": {
            "schemas": {"const": ["urn:ietf:params:scim:api:messages:2.0:Error"]},
            "status": TEXT,
            "scimType": TEXT,
            "detail": TEXT,
        },
    },
    "desk": {
        "type": "object",
        "required": ["errorMessage", "i18nErrorMessage"],
        "additionalProperties": False,
        "properties": {"errorMessage": TEXT, "i18nErrorMessage": {"type": "object"}},
    },
    "wiki": {
        "type": "object",
        "required": ["statusCode", "message"],
        "properties": {"statusCode": {"type": "integer"}, "data": {"type": "object"}, "message": TEXT},
    },
    "jira": {
        "type": "object",
        "required": ["errorMessages", "errors"],
        "additionalProperties": False,
        "properties": {
            "errorMessages": {"type": "array", "items": TEXT},
            "errors": {"type": "object", "additionalProperties": TEXT},
            "status": {"type": "integer"},
        },
    },
}


def converted(schema, name, part=False):
    """A schema of OpenAPI 3.0 as JSON schema. Objects that declare fields are closed, except as `part` of another."""
    if "$ref" in schema:
        target = schema["$ref"].rsplit("/", 1)[1]
        result = {"$ref": f"urn:{name}#/$defs/{target}{'~part' if part else ''}"}
        return {"anyOf": [result, {"type": "null"}]} if schema.get("nullable") else result
    result = {key: schema[key] for key in KEPT if key in schema}
    if "pattern" in result:
        # A document that was written in blocks of lines ends a pattern with a line break, which no value has.
        result["pattern"] = result["pattern"].rstrip("\n")
    if schema.get("exclusiveMinimum") is True:
        result["exclusiveMinimum"] = result.pop("minimum")
    if result.get("type") == "string" and schema.get("format") in FORMATS and "pattern" not in result:
        result["pattern"] = FORMATS[schema["format"]]
    if "items" in schema:
        result["items"] = converted(schema["items"], name)
    if "properties" in schema:
        result["properties"] = {field: converted(it, name) for field, it in schema["properties"].items()}
    if "not" in schema:
        result["not"] = converted(schema["not"], name, part=True)
    composed = [it for it in ("allOf", "oneOf", "anyOf") if it in schema]
    inner = bool("properties" in schema or "allOf" in schema)
    for key in composed:
        result[key] = [converted(it, name, part=inner or part) for it in schema[key]]
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        result["additionalProperties"] = converted(extra, name)
    elif extra is False and not part and not composed:
        result["additionalProperties"] = False
    elif extra is not True and inner and not part:
        result["unevaluatedProperties"] = False
    if schema.get("nullable") and "type" in result:
        result["type"] = [result["type"], "null"]
        if "enum" in result:
            result["enum"] = [*result["enum"], None]
    return result


class Operation:
    """One operation of a document."""

    def __init__(self, document, verb, path, shared, body):
        self.id = f"{document.prefix}{verb.upper()} {path}"
        self.verb = verb.upper()
        self.body = body
        # Between the parameters everything is literal; the more of that, the better the match.
        self.literal = len(re.sub(r"\{[^}]*\}", "", path))
        self.path = re.compile("^" + re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + "$")
        given = [document.resolved(it) for it in [*shared, *body.get("parameters", [])]]
        self.query = {it["name"]: it for it in given if it["in"] == "query"}
        self.answers = {status: document.resolved(it) for status, it in body["responses"].items()}
        wanted = document.resolved(body.get("requestBody", {}))
        self.wanted = next((it.get("schema") for it in wanted.get("content", {}).values()), None)


class OpenApi:
    """One OpenAPI document; `family` names the error bodies that it leaves out."""

    def __init__(self, text, family):
        self.family = family
        self.prefix = f"{family}:"
        self.document = json.loads(text)
        schemas = self.document.get("components", {}).get("schemas", {})
        defs = {name: converted(it, family) for name, it in schemas.items()}
        defs |= {f"{name}~part": converted(it, family, part=True) for name, it in schemas.items()}
        # A tilde is an escape in JSON pointers.
        text = json.dumps(defs).replace("~part", "-part")
        resource = Resource(contents={"$defs": json.loads(text)}, specification=DRAFT202012)
        self.registry = Registry().with_resource(f"urn:{family}", resource)
        self.operations = sorted(self._operations(), key=lambda it: -it.literal)
        self._validators = {}

    def _operations(self):
        for path, item in self.document["paths"].items():
            for verb in VERBS:
                if verb in item:
                    yield Operation(self, verb, path, item.get("parameters", []), item[verb])

    def resolved(self, node):
        while "$ref" in node:
            target = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return node

    def find(self, verb, path):
        path = urllib.parse.unquote(path.replace("%2F", "%252F"))
        return next((it for it in self.operations if it.verb == verb and it.path.match(path)), None)

    def check(self, operation, exchange, report):
        """Reports every deviation of the exchange from the document."""
        if exchange.status < 400:
            self._check_request(operation, exchange, report)
        status = str(exchange.status)
        answer = operation.answers.get(status) or operation.answers.get("default")
        if answer is None:
            report(f"status {status} is not listed")
        content = (answer or {}).get("content", {})
        if not content:
            return self._check_silent(exchange, report)
        media_type = exchange.headers.get("content-type", "").split(";")[0]
        if media_type not in content:
            return report(f"{status} has content type {media_type or 'none'}", exchange.body[:80].decode())
        schema = content[media_type].get("schema", {})
        return self._validate(f"{operation.id} {status}", schema, json.loads(exchange.body), report, status)

    def _check_silent(self, exchange, report):
        """The document shows no body: there is none for success, the family's own words for errors."""
        if exchange.status < 400:
            return None if not exchange.body else report(f"{exchange.status} with a body, and the document has none")
        if not exchange.headers.get("content-type", "").split(";")[0].endswith("json"):
            # Jira's gateway answers 401 as text or with nothing: atlassian-cloud.md section 12.
            plain = self.family == "jira" and exchange.status == 401
            return None if plain else report(f"{exchange.status} is not JSON", exchange.body[:80].decode())
        validator = jsonschema.Draft202012Validator(UNDOCUMENTED[self.family])
        return problems(validator, json.loads(exchange.body), report, f"{exchange.status} ")

    def _check_request(self, operation, exchange, report):
        for name, rule in operation.query.items():
            values = exchange.values(name)
            if rule.get("required") and not values:
                report(f"accepts a request that the document forbids: parameter {name} is missing")
            schema = self.resolved(rule.get("schema", {}))
            for value in values:
                if not fits(value, schema):
                    report(f"accepts a request that the document forbids: parameter {name}", value)
        if operation.wanted and exchange.request_body:
            found = []
            body = json.loads(exchange.request_body)
            self._validate(f"{operation.id} request", operation.wanted, body, lambda what, it="": found.append(what))
            for what in found:
                report(f"accepts a request that the document forbids: {what}")

    def _validate(self, key, schema, body, report, status=""):
        if key not in self._validators:
            text = json.dumps(converted(schema, self.family)).replace("~part", "-part")
            self._validators[key] = jsonschema.Draft202012Validator(json.loads(text), registry=self.registry)
        problems(self._validators[key], body, report, f"{status} " if status else "")


def fits(value, schema):
    """Whether a query parameter's text is of its schema."""
    if schema.get("type") in ("integer", "number"):
        if not re.fullmatch(r"-?\d+(\.\d+)?", value):
            return False
        return schema.get("minimum", float(value)) <= float(value) <= schema.get("maximum", float(value))
    if schema.get("type") == "boolean":
        return value.lower() in ("true", "false")
    if schema.get("type") == "array":
        return all(fits(it, schema.get("items", {})) for it in value.split(","))
    return "enum" not in schema or value in schema["enum"]
