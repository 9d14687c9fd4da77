"""What no outside client and no document covers: listed in UNCOVERED.md, and held against what a program saw."""

import collections
import re

# Marks a request that was made by hand and by no client.
PLAIN = {"X-By-Hand": "yes"}
ROW = re.compile(r"^\| `(?P<operation>[^`]+)` \| (?P<lacks>client|document|both) \|")


class Met:
    """By operation, whether a client called it with success, and whether a document knows it."""

    def __init__(self):
        self.seen = collections.defaultdict(lambda: {"client": False, "document": False})

    def note(self, name, exchange, operation):
        if exchange.status >= 400:
            return
        name = re.sub(r"conformance-[0-9a-f]{6}(-b)?", "{name}", name)
        by_hand = "x-by-hand" in exchange.request_headers
        self.seen[name]["client"] |= not by_hand
        self.seen[name]["document"] |= operation is not None

    def lacking(self):
        """What is not covered, as UNCOVERED.md has it."""
        words = {(False, False): "both", (False, True): "client", (True, False): "document"}
        found = {name: words.get((it["client"], it["document"])) for name, it in self.seen.items()}
        return {(name, lacks) for name, lacks in found.items() if lacks}


def listed(path, families):
    """The rows of the list for these families."""
    rows = (ROW.match(line) for line in path.read_text().splitlines())
    found = {(it["operation"], it["lacks"]) for it in rows if it}
    return {it for it in found if it[0].split(":")[0] in families}


def hold(session):
    """The list has exactly what this program saw, once the recording is checked."""
    if session.documents.folder is None:
        return
    session.at_the_end(lambda: compare(session))


def compare(session):
    families = {judge.family for judge in session.documents.judges}
    committed, seen = listed(session.uncovered, families), session.documents.met.lacking()
    session.same("UNCOVERED.md lacks", sorted(seen - committed), [])
    session.same("UNCOVERED.md has too much", sorted(committed - seen), [])
    print(f"{session.program}: {len(seen)} operations are covered by no client or no document: UNCOVERED.md")
