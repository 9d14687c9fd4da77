//! RFC 7643 resources and RFC 7644 messages, as far as provisioning directories speak them.
//!
//! Purpose: one reading of SCIM for both sides, the connector that calls and the server that is called. Pure: no I/O.
//!
//! Guarantees:
//! * attribute names count whatever their case (RFC 7643 §2.1), `operations` too;
//! * a filter quotes its value so that nothing in an address can leave it;
//! * what is not known is kept out, never guessed: a missing `active` is a missing `active`.
//!
//! Caveats: filters are built, for one `eq`; the parser and PATCH for inbound SCIM come with that server.

mod case;
mod patch;
mod resource;

pub use case::fold;
pub use patch::{PatchOp, Verb};
pub use resource::{
    ATLASSIAN_EXTERNAL, CORE_GROUP, CORE_USER, ENTERPRISE_USER, Email, Error, Group, ListResponse, Member, Name, User,
};

/// Media type of SCIM.
pub const MEDIA_TYPE: &str = "application/scim+json";

/// The filter `attribute eq "value"`, the only kind that Atlassian knows (reference/atlassian-cloud.md §3.1). The value
/// is quoted as a JSON string, as RFC 7644 §3.4.2.2 says.
pub fn eq(attribute: &str, value: &str) -> String {
    format!("{attribute} eq {}", serde_json::Value::from(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        assert_eq!(eq("userName", "ana@example.com"), r#"userName eq "ana@example.com""#);
        assert_eq!(eq("userName", r#"a" or userName pr or "b\"#), r#"userName eq "a\" or userName pr or \"b\\""#);
    }

    proptest! {
        #[test]
        fn every_value_reads_back_from_its_filter(value in ".*") {
            let filter = eq("displayName", &value);
            let quoted = filter.strip_prefix("displayName eq ").unwrap_or_default();
            prop_assert_eq!(serde_json::from_str::<String>(quoted).ok(), Some(value));
        }
    }
}
