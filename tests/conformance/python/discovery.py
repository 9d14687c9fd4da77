"""Google's discovery documents as a judge: which method a request calls, and whether its answer is one."""

import json
import re
import urllib.parse

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FORMATS = {
    "int64": r"^-?\d+$",
    "uint64": r"^\d+$",
    "date-time": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
    "google-datetime": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$",
    "google-duration": r"^-?\d+(\.\d+)?s$",
    "google-fieldmask": r"^[\w.,*]*$",
    "byte": r"^[A-Za-z0-9+/_-]*=*$",
    "date": r"^\d{4}-\d\d-\d\d$",
}
RANGES = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}

# Not in the documents: the error body, from google.md section 1.8.
ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "errors"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "status": {"type": "string", "pattern": "^[A-Z_]+$"},
                "details": {"type": "array", "items": {"type": "object", "required": ["@type"]}},
                "errors": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["message", "domain", "reason"],
                        "additionalProperties": False,
                        "properties": {
                            name: {"type": "string"}
                            for name in ("message", "domain", "reason", "location", "locationType")
                        },
                    },
                },
            },
        }
    },
}


def converted(schema, name):
    """A schema of a discovery document as JSON schema: closed objects, formats as patterns, `kind` as it must be."""
    if "$ref" in schema:
        return {"$ref": f"urn:{name}#/$defs/{schema['$ref']}"}
    kind = schema.get("type")
    if kind == "any":
        return {}
    result = {"type": kind}
    if "enum" in schema:
        result["enum"] = schema["enum"]
    if "pattern" in schema:
        result["pattern"] = schema["pattern"]
    form = schema.get("format")
    if kind == "string" and form in FORMATS:
        result["pattern"] = FORMATS[form]
    if kind == "integer" and form in RANGES:
        result["minimum"], result["maximum"] = RANGES[form]
    if kind == "array":
        result["items"] = converted(schema["items"], name)
    if kind == "object":
        fields = schema.get("properties", {})
        result["properties"] = {field: converted(it, name) for field, it in fields.items()}
        for field, it in fields.items():
            if field == "kind" and "default" in it:
                result["properties"][field] = {"const": it["default"]}
        extra = schema.get("additionalProperties")
        result["additionalProperties"] = converted(extra, name) if extra else not fields
    return result


class Method:
    """One method of a document."""

    # No document of Google's lists statuses.
    answers = None

    def __init__(self, method, common, prefix):
        self.id = prefix + method["id"].split(".", 1)[1]
        self.verb = method["httpMethod"]
        self.request = method.get("request", {}).get("$ref")
        self.result = method.get("response", {}).get("$ref")
        self.parameters = {**common, **method.get("parameters", {})}
        path = re.sub(r"\\\{(?:\\\+)?\w+\\\}", "[^/]+", re.escape(method["path"]))
        self.path = re.compile(f"^/{path}$")
        self.literal = len(re.sub(r"\{[^}]*\}", "", method["path"]))

    def wrong_query(self, query):
        """What about a query the document forbids: a missing parameter, one outside its values or its range."""
        given = {}
        for name, value in query:
            given.setdefault(name, []).append(value)
        for name, rule in self.parameters.items():
            values = given.get(name, [])
            if rule.get("location") == "query" and rule.get("required") and not values:
                return f"parameter {name} is missing"
            for value in values:
                if not fits(value, rule):
                    return f"parameter {name} is {value!r}"
        return None


def fits(value, rule):
    if "enum" in rule and value not in rule["enum"]:
        return False
    if rule.get("type") == "integer":
        if not re.fullmatch(r"-?\d+", value):
            return False
        return int(rule.get("minimum", value)) <= int(value) <= int(rule.get("maximum", value))
    return rule.get("type") != "boolean" or value.lower() in ("true", "false")


class Discovery:
    """One discovery document."""

    family = "google"

    def __init__(self, text):
        document = json.loads(text)
        self.name = document["id"].replace(":", "-")
        defs = {name: converted(it, self.name) for name, it in document["schemas"].items()}
        resource = Resource(contents={"$defs": defs}, specification=DRAFT202012)
        self.registry = Registry().with_resource(f"urn:{self.name}", resource)
        self.prefix = "google:"
        self.operations = sorted(self._methods(document, document.get("parameters", {})), key=lambda it: -it.literal)
        self._validators = {}

    def _methods(self, node, common):
        for method in node.get("methods", {}).values():
            yield Method(method, common, self.prefix)
        for resource in node.get("resources", {}).values():
            yield from self._methods(resource, common)

    def find(self, verb, path):
        path = urllib.parse.unquote(path.replace("%2F", "%252F"))
        return next((it for it in self.operations if it.verb == verb and it.path.match(path)), None)

    def check(self, method, exchange, report):
        """Reports every deviation of the exchange from the document."""
        wrong = method.wrong_query(exchange.query)
        if wrong and exchange.status < 400:
            report(f"accepts a request that the document forbids: {wrong.split(' is ')[0]}", wrong)
        if exchange.status >= 400:
            return self._check_error(exchange, report)
        if exchange.status == 304:
            return None if not exchange.body else report("304 with a body")
        if method.result is None:
            return None if not exchange.body else report(f"{exchange.status} with a body, and the document has none")
        if not exchange.headers.get("content-type", "").startswith("application/json"):
            return report(f"content type {exchange.headers.get('content-type')}")
        return self._validate(method.result, json.loads(exchange.body), report)

    def _check_error(self, exchange, report):
        if not exchange.headers.get("content-type", "").startswith("application/json"):
            return report(f"{exchange.status} is not JSON", exchange.body[:80].decode())
        body = json.loads(exchange.body)
        validator = jsonschema.Draft202012Validator(ERROR)
        problems(validator, body, report, f"{exchange.status} ")
        if validator.is_valid(body) and body["error"]["code"] != exchange.status:
            report(f"{exchange.status} says another code")
        return None

    def _validate(self, name, body, report):
        if name not in self._validators:
            schema = {"$ref": f"urn:{self.name}#/$defs/{name}"}
            self._validators[name] = jsonschema.Draft202012Validator(schema, registry=self.registry)
        problems(self._validators[name], body, report)


def problems(validator, body, report, prefix=""):
    """Reports what is wrong with a body; places in lists count as one."""
    for error in validator.iter_errors(body):
        place = ".".join("*" if isinstance(it, int) else str(it) for it in error.absolute_path)
        if error.validator in ("additionalProperties", "unevaluatedProperties"):
            text = re.sub(r"^.*\((.*) w(?:as|ere) unexpected\)$", r"undeclared \1", error.message)
        elif error.validator in ("required", "const", "enum"):
            text = error.message if error.validator == "required" else f"not one of {error.validator_value!r}"
        else:
            text = f"{error.validator} {str(error.validator_value)[:60]}"
        report(f"{prefix}body at ${'.' if place else ''}{place}: {text}", repr(error.instance)[:120])
