"""Writes tests/ACCEPTANCE.md: each line of the issue, what shows it, and how that last went.

Writes tests/scenarios/PARITY.md beside it: each row of `tests/scenarios/parity.toml`, the tests whose names bear its id
(`p2_05_…`), and how they last went.

Reads `tests/acceptance.toml` (line -> tests and benches), the results of the last test run below the target folder (nextest's
JUnit file, or what `cargo test` printed) and the figures of the last bench runs (`target/bench/*.json`, kept in
`tests/bench/last.json`). The same results give the same bytes: no times, no dates. What was not run this time keeps its last entry.
"""

import argparse
import fnmatch
import json
import pathlib
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree

TESTS = pathlib.Path(__file__).resolve().parent
PAGE = TESTS / "ACCEPTANCE.md"
FIGURES = TESTS / "bench" / "last.json"
ROWS = TESTS / "scenarios" / "parity.toml"
PARITY = TESTS / "scenarios" / "PARITY.md"
NOTHING = "**not shown yet**"

HEAD = """# What stands

Each line of the issue, what shows it, and how that last went. Written by `./dev test` and `./dev bench` from
`tests/acceptance.toml`; not to be edited. *Not shown yet* means that no test or bench of that name has run.

| line | what | test or bench | last |
|---|---|---|---|
"""

PARITY_HEAD = """# Parity

Every option and screen of the systems that people use today, the tests that bear its id, and how they last went. Written by
`./dev test` from `parity.toml` and the names of tests; not to be edited. A row without a test is not claimed.

| id | system | what it does | test | last |
|---|---|---|---|---|
"""


def nextest_results(path):
    """Test id ("package::binary name") -> passed, from nextest's JUnit file."""
    results = {}
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            failed = case.find("failure") is not None or case.find("error") is not None
            results[f"{suite.get('name')} {case.get('name')}"] = not failed
    return results


def binaries():
    """(name of the built file, source below its package) -> the id by which nextest calls the binary."""
    command = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=TESTS, check=True, capture_output=True).stdout)
    ids = {}
    for package in metadata["packages"]:
        folder = pathlib.Path(package["manifest_path"]).parent
        for target in package["targets"]:
            kind = target["kind"][0]
            suffix = {"test": f"::{target['name']}", "bin": f"::bin/{target['name']}"}.get(kind, "")
            source = str(pathlib.Path(target["src_path"]).relative_to(folder))
            ids[(target["name"].replace("-", "_"), source)] = package["name"] + suffix
    return ids


def cargo_results(path):
    """The same from the output of `cargo test`, whose lines name the binary by its file."""
    ids = binaries()
    results = {}
    binary = ""
    for line in path.read_text(errors="replace").splitlines():
        running = re.match(r"\s*Running (?:unittests )?(\S+) \(.*/([^/]+)-[0-9a-f]+\)", line)
        if running:
            key = (running.group(2).replace("-", "_"), running.group(1))
            binary = ids.get(key, running.group(2))
        test = re.match(r"test (\S+)(?: - should panic)? \.\.\. (ok|FAILED)", line)
        if test:
            results[f"{binary} {test.group(1)}"] = test.group(2) == "ok"
    return results


def test_results(target):
    """Results of the last run, or None when there was none."""
    # Nextest keeps its own below the repository, wherever Cargo builds.
    junit = TESTS.parent / "target" / "nextest" / "gate" / "junit.xml"
    printed = target / "acceptance" / "cargo-test.log"
    if junit.is_file():
        return nextest_results(junit)
    if printed.is_file():
        return cargo_results(printed)
    return None


def head():
    """The commit that stands, shortly, with a + where files differ from it; nothing outside a repository."""
    command = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def bench_figures(target):
    """Figure id ("bench.figure") -> figure: those kept, with those of newer runs over them. Each bears the commit that it
    was measured at, as far as that is known: a file that is younger than what is kept was written by this run."""
    kept = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
    written_at = FIGURES.stat().st_mtime if FIGURES.is_file() else 0
    before, commit = kept, head()
    for path in sorted((target / "bench").glob("*.json")):
        run = json.loads(path.read_text())
        if not isinstance(run, dict) or "bench" not in run:
            continue
        is_new = path.stat().st_mtime > written_at
        # What a bench does not measure any more is not shown any more.
        kept = {name: figure for name, figure in kept.items() if not name.startswith(f"{run['bench']}.")}
        for figure in run["figures"]:
            name = f"{run['bench']}.{figure['name']}"
            values = {key: figure[key] for key in sorted(figure) if key != "name"}
            known = dict(before.get(name, {}))
            at = known.pop("commit", "")
            values["commit"] = commit if is_new else at if known == values else ""
            kept[name] = dict(sorted(values.items()))
    return dict(sorted(kept.items()))


def described_tests(pattern, results):
    """How the tests of a pattern went; a test's id is "package::binary name", of which `pattern` may leave out the first part."""
    matching = {name: passed for name, passed in results.items() if fnmatch.fnmatchcase(name, f"*{pattern}")}
    if not matching:
        return NOTHING
    failed = sorted(name.split(" ")[-1] for name, passed in matching.items() if not passed)
    if failed:
        return f"**{len(failed)} of {len(matching)} failed**: " + ", ".join(f"`{name}`" for name in failed)
    return "passes" if len(matching) == 1 else f"{len(matching)} pass"


def described_figures(pattern, figures):
    """What the figures of a pattern came to, each beside what is to be reached, and the commit that they are of."""
    shown = {}
    for name, figure in figures.items():
        if fnmatch.fnmatchcase(name, pattern):
            text = f"{name.split('.', 1)[-1]} {figure['value']} {figure.get('unit', '')}".strip()
            if figure.get("to_reach"):
                text += f" (to reach {figure['to_reach']})"
            texts = shown.setdefault(figure.get("commit", ""), [])
            texts.append(text if figure.get("reached", True) else f"**{text}**")
    parts = ["; ".join(texts) + f" – at `{commit}`" if commit else "; ".join(texts) for commit, texts in shown.items()]
    return "; ".join(parts) or NOTHING


def previous_cells():
    """(line, item) -> last, from the page as it stands."""
    cells = {}
    if PAGE.is_file():
        for row in PAGE.read_text().splitlines():
            parts = [part.strip() for part in row.strip("|").split(" | ")]
            if row.startswith("|") and len(parts) == 4:
                cells[(parts[0].strip(), parts[2])] = parts[3].strip(" |")
    return cells


def page(lines, results, figures):
    """The whole page."""
    before = previous_cells()
    rows = []
    for line in lines:
        items = [(f"`{pattern}`", None if results is None else described_tests(pattern, results)) for pattern in line.get("tests", [])]
        items += [(f"bench `{pattern}`", described_figures(pattern, figures)) for pattern in line.get("benches", [])]
        items += [(f"check `{name}`", "part of `./dev check`") for name in line.get("checks", [])]
        for item, last in items or [("", NOTHING)]:
            last = before.get((line["id"], item), NOTHING) if last is None else last
            rows.append(f"| {line['id']} | {line['says']} | {item} | {last} |")
    return HEAD + "\n".join(rows) + "\n"


def borne(name):
    """The rows that a test's name bears: `p2_06_p2_07_it_runs` bears 2.06 and 2.07."""
    return {f"{row[0]}.{row[1]}" for row in re.findall(r"(?<![a-z0-9])p(\d)_(\d\d)(?![a-z0-9])", name.split("::")[-1])}


def parity(rows, results):
    """The page of parity: one line for each row and test. A test that this run left out is not claimed."""
    known = {row["id"] for row in rows}
    by_row = {}
    for name, passed in sorted(results.items()):
        for row in borne(name):
            if row not in known:
                sys.exit(f"error: {name} bears {row}, which is no row of {ROWS}")
            by_row.setdefault(row, []).append((name, passed))
    lines = []
    for row in rows:
        tests = [(f"`{name}`", "passes" if passed else "**fails**") for name, passed in by_row.get(row["id"], [])]
        absent = f"later: {row['later']}" if "later" in row else NOTHING
        for test, last in tests or [("", absent)]:
            lines.append(f"| {row['id']} | {row['system']} | {row['says'].replace('|', chr(92) + '|')} | {test} | {last} |")
    return PARITY_HEAD + "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=pathlib.Path, required=True, help="the Cargo target folder")
    parser.add_argument("--write", action="store_true", help="write the page")
    parser.add_argument("--count", action="store_true", help="print how many tests passed and failed")
    options = parser.parse_args()
    results = test_results(options.target)
    if options.write:
        lines = tomllib.loads((TESTS / "acceptance.toml").read_text())["line"]
        figures = bench_figures(options.target)
        if figures:
            FIGURES.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
        PAGE.write_text(page(lines, results, figures))
        if results is not None:
            PARITY.write_text(parity(tomllib.loads(ROWS.read_text())["row"], results))
    if options.count:
        results = results or {}
        failed = sum(1 for passed in results.values() if not passed)
        print(f"{len(results) - failed} passed, {failed} failed")
        if not results:
            sys.exit("error: the test run left no results")


if __name__ == "__main__":
    main()
