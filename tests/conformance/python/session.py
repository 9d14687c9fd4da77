"""What every program here has in common: arguments, the twin's operator endpoint, facts that must hold, the verdict."""

import argparse
import contextlib
import json
import pathlib
import sys
import traceback
import urllib.error
import urllib.request

from allowed import Allowed
from documents_check import Documents
from recording import Recorder


class Operator:
    """The twin's own endpoint: worlds, faults, switches. Not recorded."""

    def __init__(self, base):
        self.base = base

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + "/_twin" + path, data=data, method=method)
        request.add_header("content-type", "application/json")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"the twin refuses {method} {path}: {error.read().decode()}") from error

    def get(self, path):
        return self.ask("GET", path)

    @contextlib.contextmanager
    def fault(self, **fault):
        """A fault that is gone afterwards."""
        ids = self.ask("POST", "/faults", fault)["ids"]
        try:
            yield
        finally:
            for each in ids:
                if any(it["id"] == each for it in self.get("/faults")["faults"]):
                    self.ask("DELETE", f"/faults/{each}")

    @contextlib.contextmanager
    def switched(self, **switches):
        """Other answers to Atlassian's open questions, until afterwards."""
        before = self.get("/atlassian/switches")
        self.ask("PUT", "/atlassian/switches", switches)
        try:
            yield
        finally:
            self.ask("PUT", "/atlassian/switches", {name: before[name] for name in switches})


class Session:
    """One run of one program: the twin, the recording in front of it, and the facts established."""

    def __init__(self, program):
        parser = argparse.ArgumentParser(description=program)
        parser.add_argument("--twin", required=True, help="where the twin listens")
        parser.add_argument("--specs", help="the folder of the vendors' documents")
        parser.add_argument("--allowed", required=True, type=pathlib.Path, help="the permitted deviations")
        arguments = parser.parse_args()
        self.program = program
        self.operator = Operator(arguments.twin)
        self.recorder = Recorder(arguments.twin)
        self.url = self.recorder.url
        self.documents = Documents(pathlib.Path(arguments.specs) if arguments.specs else None)
        self.allowed = Allowed.read(arguments.allowed)
        self.uncovered = arguments.allowed.with_name("UNCOVERED.md")
        self.facts = 0
        self.broken = []
        self.last = []

    def holds(self, fact, truth, seen=None):
        """States a fact about what a client saw."""
        self.facts += 1
        if not truth:
            self.broken.append(fact if seen is None else f"{fact}; seen: {seen!r:.600}")

    def same(self, fact, left, right):
        self.holds(fact, left == right, (left, right))

    @contextlib.contextmanager
    def refused(self, fact, kind, check=lambda error: True):
        """The client must raise `kind`, and `check` must hold for it."""
        self.facts += 1
        try:
            yield
        except kind as error:
            if not check(error):
                self.broken.append(f"{fact}; raised: {error!r:.600}")
        else:
            self.broken.append(f"{fact}; nothing was raised")

    def part(self, work, *arguments):
        """One part of a program: what it raises breaks the run but not the other parts."""
        try:
            return work(self, *arguments)
        except Exception:
            self.broken.append(f"{work.__name__} did not get to its end:\n{traceback.format_exc(limit=-4)}")
            return None

    def at_the_end(self, work):
        """Something to be done when the recording was checked."""
        self.last.append(work)

    def deviation(self, operation, what):
        """Something an outside judge found: fails unless it is permitted."""
        self.documents.findings.add(operation, what)

    def end(self, accounted=False):
        """Checks the recording against the documents, prints the verdict and ends the program."""
        exchanges = self.recorder.taken()
        for exchange in exchanges:
            self.documents.check(exchange)
        if accounted:
            self.documents.account()
        for work in self.last:
            work()
        bad = self.allowed.judge(self.program, self.documents.findings, self.documents.folder is not None)
        print(f"{self.program}: {self.facts} facts, {len(exchanges)} exchanges recorded")
        print(self.documents.summary())
        for broken in self.broken:
            print(f"does not hold: {broken}")
        for line in bad:
            print(line)
        print(f"{self.program}: {'failed' if self.broken or bad else 'passed'}")
        sys.exit(1 if self.broken or bad else 0)
