//! Pages and files that must say the same as the code: errors, the compose file, the README.

use std::collections::{BTreeMap, BTreeSet};

use crate::scan::{line_of, masked, without_tests};
use crate::tree::{assert_none, file, files, packages};

const ERRORS: &str = "deploy/runbooks/errors.md";

/// Images that are not ours.
const IMAGES: [&str; 4] = ["nats", "postgres", "otel/opentelemetry-collector", "prom/prometheus"];

/// Codes of operator-visible errors that stand in the code as `"E0123"`, each with a place.
fn codes_in_code() -> BTreeMap<String, String> {
    let mut codes = BTreeMap::new();
    for file in files().iter().filter(|file| file.is_rust() && !file.is_test() && !file.is_in("shared/twin")) {
        // Where tests stand is known from the masked text; what the strings say, from the text itself.
        let code = without_tests(&masked(&file.text));
        for (at, _) in file.text.match_indices("\"E") {
            let code_text: String = file.text.chars_from(at + 1).take(5).collect();
            let closes = file.text.chars_from(at + 6).next() == Some('"');
            let digits = code_text.chars().skip(1).filter(char::is_ascii_digit).count();
            if closes && digits == 4 && line_has_code(&code, at) {
                codes.entry(code_text).or_insert_with(|| format!("{}:{}", file.path, line_of(&file.text, at)));
            }
        }
    }
    codes
}

trait CharsFrom {
    fn chars_from(&self, at: usize) -> std::str::Chars<'_>;
}

impl CharsFrom for String {
    fn chars_from(&self, at: usize) -> std::str::Chars<'_> {
        self.get(at..).unwrap_or_default().chars()
    }
}

/// Whether anything of the line, or of the one before it (a call may be broken after its bracket), is production code.
fn line_has_code(code: &str, at: usize) -> bool {
    let before = code.get(..at).unwrap_or_default();
    let start = before.rfind('\n').and_then(|line| before.get(..line)).and_then(|rest| rest.rfind('\n')).unwrap_or(0);
    let end = code.get(at..).and_then(|rest| rest.find('\n')).map_or(code.len(), |length| at + length);
    code.get(start..end).is_some_and(|lines| !lines.trim().is_empty())
}

#[test]
fn every_error_code_has_its_page_and_every_page_its_code() {
    let Some(page) = file(ERRORS) else { return };
    let mut pages = BTreeSet::new();
    let mut violations = Vec::new();
    for heading in page.text.lines().filter_map(|line| line.strip_prefix("## ")) {
        let code = heading.split(' ').next().unwrap_or_default();
        if !pages.insert(code.to_owned()) {
            violations.push(format!("{code} has two entries"));
        }
    }
    let codes = codes_in_code();
    assert!(codes.len() >= 8, "only {} codes were found; the rule would say nothing", codes.len());
    violations.extend(
        codes.iter().filter(|(code, _)| !pages.contains(*code)).map(|(code, at)| format!("{at}: {code} has no entry")),
    );
    violations
        .extend(pages.iter().filter(|code| !codes.contains_key(*code)).map(|code| format!("{code} is in no code")));
    assert_none(&format!("error codes and {ERRORS}:"), &violations);
}

#[test]
fn compose_runs_our_binaries_and_known_images() {
    let Some(compose) = file("docker-compose.yml") else { return };
    let binaries: BTreeSet<String> = packages()
        .into_iter()
        .flat_map(|package| package.targets.iter().filter(|target| target.is_bin()).map(|target| target.name.clone()))
        .collect();
    let mut violations = Vec::new();
    let mut ours = 0;
    for (number, line) in compose.text.lines().enumerate() {
        let place = format!("docker-compose.yml:{}", number + 1);
        if let Some(command) = line.trim().strip_prefix("command:") {
            let words: Vec<String> = serde_json::from_str(command.trim()).unwrap_or_default();
            match words.first() {
                None => violations.push(format!("{place}: the command is not a list of words on one line")),
                // Arguments for the image's own program.
                Some(first) if first.starts_with('-') => {}
                Some(first) if binaries.contains(first) => ours += 1,
                Some(first) => violations.push(format!("{place}: {first} is none of our binaries")),
            }
        }
        if let Some(image) = line.trim().strip_prefix("image:") {
            let name = image.trim().rsplit_once(':').map_or(image.trim(), |(name, _)| name);
            if name != "rollcall" && !IMAGES.contains(&name) {
                violations.push(format!("{place}: {name} is not a known image"));
            }
        }
    }
    assert!(ours >= 4, "only {ours} of our binaries are started; the rule would say nothing");
    assert_none("the compose file:", &violations);
}

/// What of the host a compose file mounts: its own paths, from the root of the repository, with their lines.
fn mounted(compose: &str) -> impl Iterator<Item = (usize, &str)> {
    compose.lines().enumerate().filter_map(|(number, line)| {
        let mount = line.trim().strip_prefix("- ./")?;
        Some((number + 1, mount.split(':').next().unwrap_or(mount)))
    })
}

/// Of what is absent Docker makes a folder, and what reads it fails; so a fresh clone must hold all that is mounted.
#[test]
fn compose_mounts_what_the_repository_holds() {
    let Some(compose) = file("docker-compose.yml") else { return };
    let mut violations = Vec::new();
    for (line, path) in mounted(&compose.text) {
        if !files().iter().any(|file| file.path == path || file.is_in(path)) {
            violations.push(format!("docker-compose.yml:{line}: ./{path}"));
        }
    }
    assert!(mounted(&compose.text).count() >= 4, "too few mounts were found; the rule would say nothing");
    assert_none("mounted, and not in the repository:", &violations);
    let absent = "  - ./deploy/docker/tokens.toml:/etc/tokens.toml:ro\n  - secrets:/etc/secrets\n";
    assert_eq!(mounted(absent).collect::<Vec<_>>(), [(1, "deploy/docker/tokens.toml")]);
}

/// The twin writes the console's tokens beside its other secrets; nobody else does.
#[test]
fn compose_has_the_console_read_what_the_twin_writes() {
    let Some(compose) = file("docker-compose.yml") else { return };
    let commands = compose.text.lines().filter_map(|line| line.trim().strip_prefix("command:"));
    let commands: Vec<Vec<String>> = commands.filter_map(|words| serde_json::from_str(words.trim()).ok()).collect();
    let option = |name: &str| {
        let of = commands.iter().find_map(|words| words.iter().skip_while(|word| *word != name).nth(1));
        of.cloned().unwrap_or_default()
    };
    let (secrets, tokens) = (option("--secrets"), option("--tokens"));
    assert!(!secrets.is_empty() && tokens == format!("{secrets}/tokens.toml"), "{tokens:?} is not in {secrets:?}");
    let volume = format!("secrets:{secrets}");
    let mounts = |ending: &str| compose.text.lines().any(|line| line.trim() == format!("- {volume}{ending}"));
    assert!(mounts("") && mounts(":ro"), "the twin writes {volume}, and the others read it");
    let awaited = compose.text.matches("twin: { condition: service_healthy }").count();
    assert_eq!(awaited, 4, "each service waits until the twin has written");
}

#[test]
fn the_readme_names_commands_that_exist() {
    let (Some(readme), Some(dev)) = (file("README.md"), file("dev")) else { return };
    let mut violations = Vec::new();
    for (at, _) in readme.text.match_indices("./dev ") {
        let verb: String = readme.text.chars_from(at + 6).take_while(char::is_ascii_lowercase).collect();
        if !dev.text.contains(&format!("\n  {verb})")) {
            violations.push(format!("README.md:{}: ./dev {verb}", line_of(&readme.text, at)));
        }
    }
    assert_none("commands that the README names and that do not exist:", &violations);
}

/// The verb after `rollcall ` where a page shows a command: at the start of a line, or after a backtick.
fn verbs_shown(text: &str) -> impl Iterator<Item = (usize, String)> {
    text.match_indices("rollcall ").filter_map(move |(at, needle)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let verb: String =
            text.get(at + needle.len()..)?.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        let shown = before.is_none_or(|character| character == '\n' || character == '`') && !verb.is_empty();
        shown.then(|| (at, verb.trim_end_matches('-').to_owned()))
    })
}

#[test]
fn pages_name_verbs_of_the_command_line() {
    let Some(arguments) = file("services/rollcall/src/args.rs") else { return };
    let mut violations = Vec::new();
    let pages = files()
        .iter()
        .filter(|file| file.path == "README.md" || file.is_in("deploy"))
        .filter(|file| std::path::Path::new(&file.path).extension().is_some_and(|extension| extension == "md"));
    for page in pages {
        for (at, verb) in verbs_shown(&page.text) {
            // clap makes `dead-letters` of `DeadLetters`.
            let variant: String = verb
                .split('-')
                .flat_map(|part| {
                    let (first, rest) = part.split_at_checked(1).unwrap_or((part, ""));
                    [first.to_ascii_uppercase(), rest.to_owned()]
                })
                .collect();
            let known = [",", "(", " {"].iter().any(|end| arguments.code.contains(&format!("\n    {variant}{end}")));
            if !known && verb != "completions" {
                violations.push(format!("{}:{}: rollcall {verb}", page.path, line_of(&page.text, at)));
            }
        }
    }
    assert_none("verbs that pages name and the command line does not have:", &violations);
}

#[test]
fn the_acceptance_list_is_well_formed() -> anyhow::Result<()> {
    let Some(list) = file("tests/acceptance.toml") else { return Ok(()) };
    let table: toml::Table = list.text.parse()?;
    let mut seen = BTreeSet::new();
    let mut violations = Vec::new();
    for line in table.get("line").and_then(toml::Value::as_array).into_iter().flatten() {
        let text = |key: &str| line.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        let shown = ["tests", "benches", "checks"].iter().any(|key| line.get(*key).is_some());
        if text("id").is_empty() || text("says").is_empty() || !shown || text("says").contains('|') {
            violations.push(format!("a line without id, words or test, or with a bar in it: {line}"));
        }
        if !seen.insert(text("id")) {
            violations.push(format!("{} stands there twice", text("id")));
        }
    }
    assert_none("tests/acceptance.toml:", &violations);
    Ok(())
}
