//! Whether the credentials may read what a sweep reads: one row of each kind.

use model::{GroupId, Lane};
use outbound::ReadError;
use serde::Deserialize;

use crate::{
    GoogleReader, SCOPES,
    page::{List, walk},
};

#[derive(Deserialize)]
struct Row {
    id: String,
}

impl GoogleReader {
    /// Lists one user, one group and one member of that group. Says what was read.
    ///
    /// # Errors
    /// When Google refuses one of them: names the scope that it takes.
    pub async fn probe(&self) -> Result<&'static str, ReadError> {
        let [users, groups] = SCOPES;
        self.one("/admin/directory/v1/users", &[], "users").await.map_err(|error| needs(error, users))?;
        let group =
            self.one("/admin/directory/v1/groups", &[], "groups").await.map_err(|error| needs(error, groups))?;
        let Some(group) = group.and_then(|id| GroupId::new(id).ok()) else {
            return Ok("users and groups can be read; there is no group yet");
        };
        let template = "/admin/directory/v1/groups/{groupKey}/members";
        self.one(template, &[group.as_str()], "members").await.map_err(|error| needs(error, groups))?;
        Ok("users, groups and members can be read")
    }

    async fn one(
        &self,
        template: &'static str,
        values: &[&str],
        array: &'static str,
    ) -> Result<Option<String>, ReadError> {
        let mut query = vec![("maxResults", "1".to_owned()), ("fields", format!("{array}(id)"))];
        if values.is_empty() {
            query.push(("customer", self.customer.clone()));
        }
        // Without the token of the next page: one row is enough.
        let walked =
            walk::<Row>(&self.client, &List { template, values, array, query, lane: Lane::Normal }, |_| ()).await;
        match walked.error {
            Some(error) => Err(error),
            None => Ok(walked.rows.into_iter().next().map(|row| row.id)),
        }
    }
}

/// A refusal with the scope that the call takes. What is refused here is refused to every sweep. A token that is refused
/// is about no single scope.
fn needs(error: ReadError, scope: &str) -> ReadError {
    if !error.is_refusal() || error.code.is_empty() {
        return error.about_us_if_refused();
    }
    let message = format!("{}; it takes the scope {scope}", error.message);
    ReadError { message, ..error }.about_us()
}
