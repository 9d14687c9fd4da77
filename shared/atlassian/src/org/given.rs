//! What the groups of an organization give: administration, products, and on which sites.

use std::collections::BTreeMap;

use model::{GroupId, Lane};
use outbound::{Progress, ReadError, Request};
use serde_json::{Value, json};

use super::{OrgReader, PAGE, SEARCH_GROUPS, group};
use crate::error::{is_good, read_error, shape};
use crate::gather::Walk;
use crate::roles::{ADMINISTRATE, GIVE_PRODUCTS, Products, Roles, product};

const GROUP_ROLES: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/role-assignments";
const PRODUCTS: &str = "/admin/v2/orgs/{orgId}/workspaces";

/// Largest page of the organization's products (reference/atlassian-cloud.md §1.3).
const PRODUCTS_PAGE: u64 = 1000;

impl OrgReader {
    /// What all groups give. A search that is refused or breaks off leaves it to names; a site that does not tell, too.
    pub(super) async fn roles(&self, progress: &dyn Progress) -> Roles {
        let by_role = |roles: &[&str]| self.groups_with(json!({"roleIds": roles, "limit": PAGE}));
        let (administrate, give) = tokio::join!(by_role(&ADMINISTRATE), by_role(&GIVE_PRODUCTS));
        for error in [&administrate.error, &give.error].into_iter().flatten() {
            progress.trouble(error);
        }
        let nobody_gives = administrate.rows.is_empty() && give.rows.is_empty();
        let mut roles = Roles {
            known: administrate.complete && give.complete,
            administrate: administrate.rows.into_iter().collect(),
            give_products: give.rows.into_iter().collect(),
            ..Roles::default()
        };
        if !nobody_gives && !self.by_product(&mut roles, progress).await {
            // Which of the sites a group gives something on is not known then.
            roles.unread.extend(self.sites.iter().map(|site| site.site().to_owned()));
        }
        self.ask_sites(&mut roles, Lane::Bulk, progress).await;
        roles
    }

    /// What the sites say of the groups. One that does not answer is told, and stops nothing: what it would say is unknown
    /// until it does.
    pub(super) async fn ask_sites(&self, roles: &mut Roles, lane: Lane, progress: &dyn Progress) {
        for site in &self.sites {
            match site.applications(lane).await {
                Ok(told) => roles.take(&told),
                Err(error) => {
                    progress.trouble(&untold(site.site(), &error));
                    roles.unread.insert(site.site().to_owned());
                }
            }
        }
    }

    /// Whether the sites tell what they are asked in a pass.
    pub(super) async fn probe_sites(&self) -> Result<(), ReadError> {
        for site in &self.sites {
            site.applications(Lane::Normal).await.map_err(|error| untold(site.site(), &error))?;
        }
        Ok(())
    }

    /// Which product each group gives: one search for each product, for the searches by role do not tell. People who
    /// review a group want to know it, and seats are counted by it. False: not all could be read.
    async fn by_product(&self, roles: &mut Roles, progress: &dyn Progress) -> bool {
        let products = self.products().await;
        let mut complete = products.complete;
        if let Some(error) = &products.error {
            progress.trouble(error);
        }
        for (resource, access) in products.rows {
            let groups = self.groups_with(json!({"resourceIds": [resource], "limit": PAGE})).await;
            if let Some(error) = &groups.error {
                progress.trouble(error);
            }
            complete &= groups.complete;
            for group in groups.rows {
                roles.gives.entry(group).or_default().insert(access.clone());
            }
        }
        complete
    }

    async fn groups_with(&self, query: Value) -> Walk<GroupId> {
        self.search(SEARCH_GROUPS, query, Lane::Bulk, |row| group(row).map(|group| group.id), |_| ()).await
    }

    async fn products(&self) -> Walk<(String, model::ProductAccess)> {
        self.search(PRODUCTS, json!({"limit": PRODUCTS_PAGE}), Lane::Bulk, |row| product(&row), |_| ()).await
    }

    /// What one group gives, as far as the organization tells.
    pub(super) async fn roles_of(&self, id: &GroupId, lane: Lane) -> Result<Roles, ReadError> {
        let request = Request::get(GROUP_ROLES, &[&self.org, &self.directory, id.as_str()]).lane(lane);
        let answer = self.client.read(&request).await?;
        if !is_good(&answer) {
            let error = read_error(GROUP_ROLES, &answer);
            return if error.may_pass() || error.is_about_us() { Err(error) } else { Ok(Roles::default()) };
        }
        let body: Value = answer.json().map_err(|text| shape(GROUP_ROLES, &text))?;
        let rows = body.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let products: Products =
            if rows.is_empty() { BTreeMap::new() } else { self.products().await.rows.into_iter().collect() };
        Ok(Roles::of_one(id, rows, &products))
    }
}

/// The trouble with one site, named by it and by what it keeps from being decided.
fn untold(site: &str, error: &ReadError) -> ReadError {
    let message = format!(
        "{site} does not tell its default access groups and seats ({error}): additions to groups that may give a product \
         there are held until it does; its account needs the right to administer Jira"
    );
    ReadError { disposition: error.disposition, message, code: "E0144".to_owned() }
}
