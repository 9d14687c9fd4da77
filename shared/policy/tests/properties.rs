//! Whatever the file holds, reading it ends, and ends the same way each time.
#![expect(clippy::unwrap_used, reason = "tests")]

use policy::{NameMatcher, Policy, Rewrite};
use proptest::prelude::*;

/// What an answer must be like: a policy, or at least one problem whose place is in the file.
fn judge(text: &str) -> Result<(), TestCaseError> {
    if let Err(wrong) = Policy::parse(text) {
        prop_assert!(!wrong.is_empty(), "refused without a reason");
        for diagnostic in &wrong {
            prop_assert!(diagnostic.line >= 1 && diagnostic.line <= text.lines().count().max(1) + 1);
            prop_assert!(diagnostic.column >= 1);
            prop_assert!(!diagnostic.message.is_empty() && !diagnostic.help.is_empty());
        }
        prop_assert!(!wrong.to_string().contains("hunter2"), "{}", wrong);
        prop_assert_eq!(Policy::parse(text).unwrap_err(), wrong);
    }
    Ok(())
}

/// Pieces that belong into a policy file, so that changed files stay interesting.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\"".to_owned()),
        Just("]\n[".to_owned()),
        Just("= {".to_owned()),
        Just("\n[[sync]]\n".to_owned()),
        Just("7".to_owned()),
        Just("[]".to_owned()),
        Just("'re:('".to_owned()),
        Just("\u{212a}".to_owned()),
        Just("\\".to_owned()),
        Just("#".to_owned()),
        Just("\"\"\"".to_owned()),
        "\\PC{0,6}",
        "[a-z_]{1,8} = [0-9]{1,3}\n",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_any_text_ends(text in "\\PC{0,200}") {
        judge(&text)?;
    }

    #[test]
    fn reading_a_changed_file_ends(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0usize..30, piece()), 1..4),
    ) {
        let mut text: Vec<char> = Policy::example().chars().collect();
        for (place, cut, put) in changes {
            let start = place.index(text.len());
            let end = (start + cut).min(text.len());
            text.splice(start..end, put.chars());
        }
        judge(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn no_secret_is_ever_shown(
        place in any::<prop::sample::Index>(),
        cut in 0usize..6,
        put in piece(),
    ) {
        // Every reference is replaced by the secret itself; then the file is changed somewhere.
        let mut text: Vec<char> = secrets_written_out().chars().collect();
        let secret_starts = place.index(text.len());
        let end = (secret_starts + cut).min(text.len());
        let inside: String = text.iter().skip(secret_starts.saturating_sub(8)).take(24).collect();
        prop_assume!(!inside.contains("hunter"));
        text.splice(secret_starts..end, put.chars());
        judge(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn lines_left_out_are_no_surprise(gone in prop::collection::btree_set(0usize..130, 1..20)) {
        let kept: Vec<&str> =
            Policy::example().lines().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, line)| line).collect();
        judge(&kept.join("\n"))?;
    }

    #[test]
    fn case_counts_for_nothing_in_ascii_and_for_everything_beyond(name in "[a-zA-Z0-9.@-]{1,20}") {
        let upper = name.to_ascii_uppercase();
        for pattern in [name.clone(), format!("{name}*"), format!("re:^{}$", name.replace('.', "\\."))] {
            let matcher = NameMatcher::new([pattern.as_str()]).unwrap();
            prop_assert!(matcher.matches(&name) && matcher.matches(&upper), "{} {}", pattern, name);
            // The Kelvin sign, the long s and the dotless i fold to k, s and i in Unicode.
            for (ascii, other) in [('k', '\u{212a}'), ('s', '\u{17f}'), ('i', '\u{131}')] {
                let lower = name.to_ascii_lowercase();
                if lower.contains(ascii) {
                    prop_assert!(!matcher.matches(&lower.replace(ascii, &other.to_string())), "{}", pattern);
                }
            }
        }
    }

    #[test]
    fn rewriting_is_what_the_regex_crate_does(text in "[a-z0-9.@-]{0,16}", replace in "[a-z$1{}-]{0,8}") {
        let pattern = "^([a-z]+)|@";
        let rewrite = Rewrite::new(pattern, &replace).unwrap();
        let regex = regex::Regex::new(pattern).unwrap();
        let expected = regex.is_match(&text).then(|| regex.replace_all(&text, replace.as_str()).into_owned());
        prop_assert_eq!(rewrite.apply(&text), expected);
    }
}

fn secrets_written_out() -> String {
    let mut text = Policy::example().to_owned();
    while let Some((before, after)) = text.split_once("\"file:") {
        let rest = after.split_once('"').unwrap().1;
        text = format!("{before}\"hunter2\"{rest}");
    }
    text
}

#[test]
fn the_example_reads_the_same_each_time() {
    assert_eq!(Policy::parse(Policy::example()).unwrap(), Policy::parse(Policy::example()).unwrap());
    let other = format!("{}\n", Policy::example());
    assert_ne!(Policy::parse(&other).unwrap().hash, Policy::parse(Policy::example()).unwrap().hash);
}
