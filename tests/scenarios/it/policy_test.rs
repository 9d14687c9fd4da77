//! `rollcall policy test`: cases beside the policy file are run, and what the policy covers is told.

use anyhow::Result;
use scenarios::{Company, Outside, Said};
use serde_json::{Value, json};

const CASE: &str = r#"[[case]]
name = "a reader reads"
person = "p03@acme.example"
groups = ["readers@acme.example"]
expect = ["cloud/readers"]
"#;

/// Three groups at Google, and a rule that takes each by its own name.
async fn outside() -> Result<Outside> {
    let company = Company::of(6).group("staff", 0..5).group("readers", 2..4).group("lab", 3..5);
    Outside::start(&company.snapshot(), &company.policy()).await
}

fn write_cases(outside: &Outside, text: &str) -> Result<()> {
    Ok(std::fs::write(outside.folder.path().join("policy.tests.toml"), text)?)
}

/// Changes the policy file; the rules come last in it.
fn edit(outside: &Outside, edit: impl Fn(String) -> String) -> Result<()> {
    outside.write_policy(&edit(std::fs::read_to_string(outside.policy())?))
}

async fn tested(outside: &Outside, more: &[&str]) -> Result<Said> {
    let before = outside.sequence();
    let said = outside.rollcall(&[&["policy", "test"], more].concat()).await?;
    assert_eq!(outside.sequence(), before, "a test changes nothing");
    Ok(said)
}

fn says(said: &Said, code: i32, lines: &[&str]) {
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    for line in lines {
        assert!(said.out.contains(line) || said.err.contains(line), "{line:?} is not in: {}{}", said.out, said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_passes_or_fails_with_its_line_and_what_differs() -> Result<()> {
    let outside = outside().await?;
    write_cases(&outside, CASE)?;
    says(
        &tested(&outside, &[]).await?,
        0,
        &["passes  a reader reads", "coverage of 1 group (named in the cases", "1 case: 1 passed, 0 failed."],
    );
    let wrong = format!("{CASE}\n{}", CASE.replace("a reader reads", "a reader writes").replace("cloud/", "cloud/W"));
    write_cases(&outside, &wrong)?;
    let told = [
        "passes  a reader reads",
        "FAILS   a reader writes (line 7)",
        "expected and not given  cloud/Wreaders",
        "given and not expected  cloud/readers",
        "2 cases: 1 passed, 1 failed.",
    ];
    says(&tested(&outside, &[]).await?, 1, &told);

    let said = tested(&outside, &["--output", "json"]).await?;
    let document: Value = serde_json::from_str(&said.out)?;
    assert_eq!((said.code, &document["schema"]), (1, &json!("rollcall.policy-test/1")));
    let failed = &document["cases"][1];
    assert_eq!((&failed["case"], &failed["line"]), (&json!("a reader writes"), &json!(7)));
    assert_eq!((&failed["passes"], &document["cases"][0]["passes"]), (&json!(false), &json!(true)));
    assert_eq!((&failed["missing"], &failed["extra"]), (&json!(["cloud/Wreaders"]), &json!(["cloud/readers"])));
    let said = tested(&outside, &["--output", "ndjson"]).await?;
    let passes: Vec<Value> = said.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!((said.code, passes.len(), &passes[0]["passes"]), (1, 2, &json!(true)));
    Ok(())
}

/// Each of the three is told in any case, and ends with 1 only where that is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn strict_refuses_an_idle_rule_an_unclaimed_group_and_two_rules_at_one_group() -> Result<()> {
    let outside = outside().await?;
    write_cases(&outside, CASE)?;
    let whole = "Coverage: every rule takes a group, every group is taken by one.";
    says(&tested(&outside, &["--strict"]).await?, 0, &[whole]);
    let written = std::fs::read_to_string(outside.policy())?;
    let rule = |name: &str, groups: &str, into: &str| {
        format!(
            "\n[[sync]]\nname = \"{name}\"\nfrom = \"workspace\"\ngroups = [\"{groups}\"]\nto = \"cloud\"\ninto = \"{into}\"\n"
        )
    };
    let other = written.replace("groups = [\"*\"]", "groups = [\"staff@acme.example\"]");
    let rows = [
        ("rule \"nobody\" (line ", format!("{written}{}", rule("nobody", "none-*@acme.example", "none"))),
        ("unclaimed workspace: readers@acme.example, no rule takes it", other),
        ("shared    cloud/", format!("{written}{}", rule("both", "re:^readers@", "Readers"))),
    ];
    for (line, policy) in rows {
        outside.write_policy(&policy)?;
        // Where no rule takes the group, the case expects none.
        let expects = if line.starts_with("unclaimed") { "expect = []" } else { "expect = [\"cloud/readers\"]" };
        let staff = CASE.replace("a reader reads", "staff works").replace("readers", "staff");
        write_cases(&outside, &format!("{}\n{staff}", CASE.replace("expect = [\"cloud/readers\"]", expects)))?;
        let lenient = tested(&outside, &[]).await?;
        says(&lenient, 0, &[line, "Coverage: see above."]);
        says(&tested(&outside, &["--strict"]).await?, 1, &[line]);
        let strict = tested(&outside, &["--strict", "--output", "json"]).await?;
        let coverage: Value = serde_json::from_str::<Value>(&strict.out)?["coverage"].take();
        let told = ["idle", "unclaimed", "shared"].map(|of| coverage[of].as_array().map_or(0, Vec::len));
        assert_eq!((strict.code, told.iter().sum::<usize>()), (1, 1), "{coverage}");
    }
    Ok(())
}

/// With `--read` what counts is what is at the source, and no case is needed for it.
#[tokio::test(flavor = "multi_thread")]
async fn the_groups_of_the_sources_are_read_when_asked_for() -> Result<()> {
    let outside = outside().await?;
    says(&tested(&outside, &["--read", "--strict"]).await?, 0, &["coverage of 3 groups (read at the sources)"]);
    edit(&outside, |text| {
        text.replace("groups = [\"*\"]", "groups = [\"staff@acme.example\", \"readers@acme.example\"]")
    })?;
    write_cases(&outside, CASE)?;
    let named = tested(&outside, &["--strict"]).await?;
    says(&named, 0, &["coverage of 1 group (named in the cases; --read asks the sources)"]);
    assert!(!named.out.contains("lab@acme.example"), "nobody was asked: {}", named.out);
    let read = ["unclaimed workspace: lab@acme.example, no rule takes it", "1 case: 1 passed, 0 failed."];
    says(&tested(&outside, &["--read"]).await?, 0, &read);
    says(&tested(&outside, &["--read", "--strict"]).await?, 1, &read);
    // Nobody concludes anything from a source that does not answer.
    outside.tell("credentials/revoke", &json!({ "service_account": "rollcall@twin.iam.gserviceaccount.com" })).await?;
    says(&tested(&outside, &["--read"]).await?, 1, &["error[E0118]", "workspace"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_that_are_absent_or_cannot_be_right_are_a_usage_error() -> Result<()> {
    let outside = outside().await?;
    says(&tested(&outside, &[]).await?, 64, &["error[E0134]", "policy.tests.toml", "[[case]]"]);
    says(&tested(&outside, &["--cases", "others.toml", "--read"]).await?, 64, &["error[E0134]", "others.toml"]);
    write_cases(&outside, &CASE.replace("expect", "expects"))?;
    let said = tested(&outside, &[]).await?;
    says(&said, 64, &["error[E0201]", "policy.tests.toml:5:1", "did you mean `expect`?", "error[E0134]"]);
    std::fs::rename(outside.folder.path().join("policy.tests.toml"), outside.folder.path().join("others.toml"))?;
    std::fs::write(outside.folder.path().join("others.toml"), CASE)?;
    says(&tested(&outside, &["--cases", "others.toml"]).await?, 0, &["others.toml", "passes  a reader reads"]);
    Ok(())
}
