//! What the tests of this crate share.

/// One source and one target, and everything of the one into the other.
pub(crate) const POLICY: &str = r#"
tenant = "acme"
[directory.workspace]
kind = "google-workspace"
service_account = "env:KEY"
subject = "rollcall@acme.com"
[directory.cloud]
kind = "atlassian-org"
org = "o"
directory = "d"
api_key = "env:KEY"
[[sync]]
from = "workspace"
to = "cloud"
groups = ["*"]
"#;
