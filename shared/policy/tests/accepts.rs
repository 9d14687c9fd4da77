//! What a policy file says arrives in the policy.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use policy::Policy;

fn parse(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[test]
fn the_example_of_the_design_is_a_policy() {
    let policy = parse(Policy::example());
    assert_eq!(policy.tenant.as_str(), "acme");
    assert_eq!(policy.directories.len(), 8);
    assert_eq!(policy.rules.len(), 3);
    assert_eq!(policy.provisions.len(), 1);
}

#[test]
fn the_policy_of_the_real_data_is_a_policy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/k8s-policy.toml");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: the real data is not beside the repository");
        return;
    };
    let policy = parse(&text);
    assert_eq!(policy.rules.first().unwrap().name, "all groups");
}
