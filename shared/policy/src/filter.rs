//! Which people of a source an entry takes: by address and by attributes.

use std::collections::BTreeMap;

use model::User;

use crate::NameMatcher;

/// Which people: everybody, unless something is said. All that is said must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PersonFilter {
    people: NameMatcher,
    except: NameMatcher,
    attributes: BTreeMap<String, NameMatcher>,
}

impl PersonFilter {
    /// Only people whose primary address is one of `people` (any, where there is none) and none of `except`, and who
    /// have, at each path of `attributes`, a value that one of its patterns means.
    pub const fn new(people: NameMatcher, except: NameMatcher, attributes: BTreeMap<String, NameMatcher>) -> Self {
        Self { people, except, attributes }
    }

    /// Whether nothing is said, so that everybody is meant.
    pub fn is_everybody(&self) -> bool {
        self.people.is_empty() && self.except.is_empty() && self.attributes.is_empty()
    }

    /// Whether the person is meant. Without an address nobody is among `people`, and nobody among `except`; aliases
    /// count for neither. A person without a row is meant only where everybody is.
    pub fn admits(&self, user: Option<&User>) -> bool {
        let Some(user) = user else { return self.is_everybody() };
        let address = user.email.as_ref().map(model::Email::key);
        let named = self.people.is_empty() || address.is_some_and(|address| self.people.matches(address));
        let excepted = address.is_some_and(|address| self.except.matches(address));
        let has = |(path, patterns): (&String, &NameMatcher)| {
            user.attributes.get(path).is_some_and(|value| patterns.matches(value))
        };
        named && !excepted && self.attributes.iter().all(has)
    }

    /// The paths of the attributes that it asks for.
    pub fn attribute_paths(&self) -> impl Iterator<Item = &str> {
        self.attributes.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use model::{AccountId, Email};

    use super::*;

    fn matcher(patterns: &[&str]) -> NameMatcher {
        NameMatcher::new(patterns.iter().copied()).unwrap()
    }

    fn user(email: &str, department: &str) -> User {
        let mut user = User::new(AccountId::new("u").unwrap(), Email::new(email).ok());
        user.attributes.insert("organizations[primary].department".to_owned(), department.to_owned());
        user
    }

    #[test]
    fn all_that_is_said_must_hold() {
        let department = [("organizations[primary].department".to_owned(), matcher(&["Eng*"]))].into();
        let filter = PersonFilter::new(matcher(&["*@acme.com"]), matcher(&["bot-*"]), department);
        assert!(filter.admits(Some(&user("Jo@Acme.com", "engineering"))));
        assert!(!filter.admits(Some(&user("jo@acme.com", "Sales"))));
        assert!(!filter.admits(Some(&user("bot-7@acme.com", "Engineering"))));
        assert!(!filter.admits(Some(&user("jo@partner.org", "Engineering"))));
        assert!(!filter.admits(None), "nobody knows who that is");
        assert!(PersonFilter::default().admits(None));
    }
}
