//! The query language of users.list and groups.list, as far as the twin's attributes go (google.md §1.4, §1.5).

use serde_json::Value;

use crate::world::google::{GroupRecord, Refused, UserRecord, lower};

/// One clause: a field, an operator, a value.
#[derive(Debug, PartialEq, Eq)]
struct Clause {
    field: String,
    /// `=`, `:` or, for values that end with `*`, `:` with a prefix.
    prefix: bool,
    exact: bool,
    value: String,
}

/// A parsed `query` of users.list. Clauses are joined by *and*.
#[derive(Debug, Default)]
pub(super) struct UserQuery {
    clauses: Vec<Clause>,
}

/// A parsed `query` of groups.list.
#[derive(Debug, Default)]
pub(super) struct GroupQuery {
    clauses: Vec<Clause>,
    /// `memberKey`, which may not be combined with anything.
    pub(super) member_key: Option<String>,
}

const USER_FIELDS: [&str; 14] = [
    "",
    "name",
    "email",
    "givenname",
    "familyname",
    "isadmin",
    "isdelegatedadmin",
    "issuspended",
    "isarchived",
    "isguest",
    "orgunitpath",
    "externalid",
    "isenrolledin2sv",
    "isenforcedin2sv",
];

impl UserQuery {
    /// Reads a query; anything not understood is 400 `Invalid Input: query`.
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        let clauses = clauses(text).ok_or_else(invalid)?;
        if clauses.iter().any(|it| !USER_FIELDS.contains(&it.field.as_str())) {
            return Err(invalid());
        }
        Ok(Self { clauses })
    }

    /// Whether every clause holds.
    pub(super) fn matches(&self, user: &UserRecord) -> bool {
        self.clauses.iter().all(|clause| match clause.field.as_str() {
            "" => clause.any([&user.given_name, &user.family_name, &user.primary_email]),
            "name" => clause.text(&user.full_name()),
            "email" => clause.any(user.aliases.iter().chain([&user.primary_email])),
            "givenname" => clause.text(&user.given_name),
            "familyname" => clause.text(&user.family_name),
            "isadmin" => clause.flag(user.is_admin),
            "isdelegatedadmin" => clause.flag(user.is_delegated_admin),
            "issuspended" => clause.flag(user.suspended),
            "isarchived" => clause.flag(user.archived),
            "isguest" => clause.flag(user.is_guest),
            "isenrolledin2sv" | "isenforcedin2sv" => clause.flag(false),
            "orgunitpath" => in_subtree(&user.org_unit_path, &clause.value),
            "externalid" => {
                let ids = user.further.get("externalIds").and_then(Value::as_array).into_iter().flatten();
                ids.filter_map(|it| it.get("value").and_then(Value::as_str)).any(|it| clause.text(it))
            }
            _ => false,
        })
    }
}

impl GroupQuery {
    /// Reads a query; anything not understood is 400 `Invalid Input: query`.
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        let mut clauses = clauses(text).ok_or_else(invalid)?;
        if clauses.iter().any(|it| !["email", "name", "memberkey"].contains(&it.field.as_str())) {
            return Err(invalid());
        }
        let member_key = clauses.iter().position(|it| it.field == "memberkey").map(|at| clauses.remove(at).value);
        if member_key.is_some() && !clauses.is_empty() {
            return Err(invalid());
        }
        Ok(Self { clauses, member_key })
    }

    /// Whether every clause holds; `memberKey` is not asked here.
    pub(super) fn matches(&self, group: &GroupRecord) -> bool {
        self.clauses.iter().all(|clause| match clause.field.as_str() {
            "email" => clause.text(&group.email),
            _ => clause.text(&group.name),
        })
    }
}

impl Clause {
    fn text(&self, text: &str) -> bool {
        let text = lower(text);
        let wanted = lower(&self.value);
        if self.prefix {
            return text.starts_with(&wanted) || text.split_whitespace().any(|it| it.starts_with(&wanted));
        }
        if self.exact {
            return text == wanted;
        }
        // `:` looks for whole words.
        let words: Vec<&str> = text.split(|it: char| !it.is_alphanumeric()).collect();
        text == wanted || wanted.split_whitespace().all(|wanted| words.contains(&wanted))
    }

    fn any<'a>(&self, texts: impl IntoIterator<Item = &'a String>) -> bool {
        texts.into_iter().any(|it| self.text(it))
    }

    fn flag(&self, flag: bool) -> bool {
        self.value.eq_ignore_ascii_case(if flag { "true" } else { "false" })
    }
}

fn invalid() -> Refused {
    Refused::Invalid("Invalid Input: query".to_owned())
}

/// An organizational unit stands for its whole subtree.
fn in_subtree(path: &str, root: &str) -> bool {
    let root = root.trim_end_matches('/');
    path == root || root.is_empty() || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
}

fn clauses(text: &str) -> Option<Vec<Clause>> {
    let mut rest = text.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let end = rest.find(|it: char| it.is_whitespace() || it == '=' || it == ':').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let operator = after.chars().next().filter(|it| *it == '=' || *it == ':');
        let (field, exact, after) = match operator {
            Some(operator) => (lower(word), operator == '=', after.get(1..)?),
            None => (String::new(), false, rest),
        };
        if operator.is_some() && field.is_empty() {
            return None;
        }
        let (value, after) = value(after)?;
        let (value, prefix) = match value.strip_suffix('*').filter(|_| !exact) {
            Some(value) => (value.to_owned(), true),
            None => (value, false),
        };
        if value.is_empty() {
            return None;
        }
        // A bare word is looked for at the beginning of names and addresses.
        found.push(Clause { prefix: prefix || operator.is_none(), field, exact, value });
        rest = after.trim_start();
    }
    Some(found)
}

/// A value in quotes of either kind, in which `\` escapes, or up to the next space.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quote) = text.chars().next().filter(|it| *it == '\'' || *it == '"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        if escaped {
            value.push(it);
            escaped = false;
        } else if it == '\\' {
            escaped = true;
        } else if it == quote {
            return Some((value, text.get(at + it.len_utf8()..)?));
        } else {
            value.push(it);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use super::*;

    fn finds(query: &str) -> bool {
        let mut user = UserRecord::new(Arc::from("1"), "Ada@Example.com", "Ada Maria", "O'Neil");
        user.org_unit_path = "/Staff/Research".to_owned();
        user.aliases.push("countess@example.com".to_owned());
        UserQuery::parse(query).is_ok_and(|it| it.matches(&user))
    }

    #[test]
    fn clauses_are_joined_by_and() {
        for query in [
            "",
            "email=ada@example.com",
            "email:countess*",
            "givenName='Ada Maria'",
            "givenName:maria",
            "familyName='O\\'Neil' isSuspended=false",
            "orgUnitPath=/Staff",
            "orgUnitPath='/'",
            "ad",
            "name:ada*",
        ] {
            assert!(finds(query), "{query}");
        }
        for query in ["givenName=Ada", "isSuspended=true", "orgUnitPath=/Sta", "email:ada@example.com isAdmin=true"] {
            assert!(!finds(query), "{query}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for query in ["=x", "shoeSize=40", "email='open", "email="] {
            assert_eq!(UserQuery::parse(query).err(), Some(invalid()), "{query}");
        }
        assert!(GroupQuery::parse("memberKey=a@example.com name=x").is_err());
        assert_eq!(GroupQuery::parse("memberKey=a@b.c").unwrap().member_key.as_deref(), Some("a@b.c"));
    }
}
