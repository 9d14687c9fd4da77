//! What the name of a group says, as long as nothing better does.

pub use model::says_default_access;

/// Whether a group's name is the one that a Data Center product gives to its own administrators when it is set up. Only
/// these exact names: a name that merely sounds so says nothing.
pub fn says_administrators(name: &str) -> bool {
    let products = ["jira", "jira-system", "confluence", "stash", "crowd"];
    let name = name.to_ascii_lowercase();
    products.iter().any(|product| name.strip_prefix(product).is_some_and(|rest| rest == "-administrators"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_access_groups_are_known_by_atlassians_own_names() {
        for name in
            ["jira-users", "jira-users-acme", "confluence-users-acme", "Jira-Software-Users-acme", "stash-users"]
        {
            assert!(says_default_access(name), "{name}");
        }
        for name in
            ["jira-administrators", "Jira-System-Administrators", "confluence-administrators", "stash-administrators"]
        {
            assert!(says_administrators(name), "{name}");
        }
        for name in ["jira-administrators-emea", "my-crowd-administrators", "administrators"] {
            assert!(!says_administrators(name), "{name}");
        }
        for name in ["jira-users2", "power-users", "jira-usersgroup", "my-jira-users"] {
            assert!(!says_default_access(name), "{name}");
        }
    }
}
