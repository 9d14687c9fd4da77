//! PATCH requests (RFC 7644 §3.5.2).

use serde_json::{Value, json};

/// A PATCH request in the making.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatchOp {
    operations: Vec<Value>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Adds values.
    Add,
    /// Removes values.
    Remove,
    /// Replaces values.
    Replace,
}

impl Verb {
    /// The word in the request, in lower case as the RFC has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Replace => "replace",
        }
    }
}

impl PatchOp {
    /// A request without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same request with one more operation.
    #[must_use]
    pub fn with(mut self, verb: Verb, path: &str, value: Value) -> Self {
        self.operations.push(json!({"op": verb.as_str(), "path": path, "value": value}));
        self
    }

    /// The same request, adding these members by id; unchanged when there are none.
    #[must_use]
    pub fn add_members<'a>(self, ids: impl IntoIterator<Item = &'a str>) -> Self {
        let value: Vec<Value> = ids.into_iter().map(|id| json!({"value": id})).collect();
        if value.is_empty() { self } else { self.with(Verb::Add, "members", Value::Array(value)) }
    }

    /// The same request, removing this member by id.
    #[must_use]
    pub fn remove_member(mut self, id: &str) -> Self {
        let path = format!("members[{}]", crate::eq("value", id));
        self.operations.push(json!({"op": Verb::Remove.as_str(), "path": path}));
        self
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The request's body. The RFC and Atlassian's example spell `Operations`, its schema `operations`; the RFC counts.
    pub fn body(self) -> Value {
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": self.operations})
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn members_are_added_together_and_removed_one_by_one() {
        let body = PatchOp::new().add_members(["a", "b"]).remove_member("c\"]").body();
        assert_eq!(
            body["Operations"],
            json!([
                {"op": "add", "path": "members", "value": [{"value": "a"}, {"value": "b"}]},
                {"op": "remove", "path": "members[value eq \"c\\\"]\"]"},
            ])
        );
        assert!(PatchOp::new().add_members([]).is_empty());
    }
}
