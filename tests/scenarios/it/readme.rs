//! What the README tells people to type exists.

use anyhow::Result;
use harness::find;
use scenarios::{Company, Outside};

#[tokio::test(flavor = "multi_thread")]
async fn every_command_line_of_the_readme_exists() -> Result<()> {
    let readme = std::fs::read_to_string(find::repository().join("README.md"))?;
    let script = std::fs::read_to_string(find::repository().join("dev"))?;
    let company = Company::of(1);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let mut checked = 0;
    let mut in_block = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let line = line.split('#').next().unwrap_or_default().trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["./dev", verb, ..] if in_block => assert!(script.contains(&format!("{verb})")), "./dev has no {verb}"),
            ["rollcall", rest @ ..] if in_block => {
                let with_help: Vec<&str> = rest.iter().copied().chain(["--help"]).collect();
                let said = outside.rollcall(&with_help).await?;
                assert_eq!(said.code, 0, "{line}: {}", said.err);
                for flag in rest.iter().filter(|word| word.starts_with('-')) {
                    assert!(said.out.contains(flag), "{line}: there is no {flag}");
                }
            }
            _ => continue,
        }
        checked += 1;
    }
    assert!(checked >= 6, "{checked} command lines");
    Ok(())
}
