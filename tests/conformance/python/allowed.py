"""The permitted deviations of `allowed.toml`, and what remains when they are taken off."""

import dataclasses
import fnmatch
import tomllib

FIELDS = {"id", "program", "operation", "what", "source"}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One permitted deviation. `operation` and `what` may be globs; `program` is where it must occur."""

    id: str
    program: str
    operation: str
    what: str
    source: str

    def covers(self, operation, what):
        return fnmatch.fnmatchcase(operation, self.operation) and fnmatch.fnmatchcase(what, self.what)


class Findings:
    """Deviations: operation and what, with how often and one example."""

    def __init__(self):
        self.seen = {}

    def add(self, operation, what, example=""):
        count, first = self.seen.get((operation, what), (0, example))
        self.seen[(operation, what)] = (count + 1, first)


class Allowed:
    """All entries, each with a source."""

    def __init__(self, entries):
        self.entries = entries

    @classmethod
    def read(cls, path):
        tables = tomllib.loads(path.read_text())["allowed"]
        for table in tables:
            if set(table) != FIELDS or not all(isinstance(it, str) and it.strip() for it in table.values()):
                raise SystemExit(f"{path}: entry {table.get('id')!r} must have exactly {sorted(FIELDS)}")
        entries = [Entry(**table) for table in tables]
        ids = [it.id for it in entries]
        if len(ids) != len(set(ids)):
            raise SystemExit(f"{path}: an id occurs twice")
        return cls(entries)

    def judge(self, program, findings, complete=True):
        """Lines for deviations that nothing permits; of a complete run also for its entries that permit nothing."""
        used = set()
        lines = []
        for (operation, what), (count, example) in sorted(findings.seen.items()):
            covering = [it for it in self.entries if it.covers(operation, what)]
            used.update(it.id for it in covering)
            if not covering:
                lines.append(f"deviation: {operation}: {what} ({count}×){': ' + example if example else ''}")
        for entry in self.entries:
            if complete and entry.program == program and entry.id not in used:
                lines.append(f"allowed.toml: entry {entry.id!r} is not needed; remove it")
        return lines
