//! What the groups of an organization give: administration, products, and on which sites.

use model::{GroupId, Lane};
use outbound::{Progress, ReadError, Request};
use serde_json::{Value, json};

use super::wire::group;
use super::{OrgReader, PAGE, SEARCH_GROUPS};
use crate::error::{if_permitted, is_good, read_error, shape};
use crate::gather::Walk;
use crate::roles::{ADMINISTRATE, GIVE_PRODUCTS, Products, Roles, product};

const GROUP_ROLES: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/role-assignments";
const PRODUCTS: &str = "/admin/v2/orgs/{orgId}/workspaces";

/// Largest page of the organization's products (reference/atlassian-cloud.md §1.3).
const PRODUCTS_PAGE: u64 = 1000;

impl OrgReader {
    /// What all groups give. A search that is refused leaves it to names; a site that does not tell, too.
    ///
    /// # Errors
    /// When a search broke off for a reason that may pass: what it would have told is not "none".
    pub(super) async fn roles(&self, progress: &dyn Progress) -> Result<Roles, ReadError> {
        let by_role = |roles: &[&str]| self.groups_with(json!({"roleIds": roles, "limit": PAGE}));
        let (administrate, give) = tokio::join!(by_role(&ADMINISTRATE), by_role(&GIVE_PRODUCTS));
        let known = administrate.complete && give.complete;
        for error in [&administrate.error, &give.error].into_iter().flatten() {
            if_permitted::<()>(Err(error.clone()))?;
            progress.trouble(error);
        }
        let nobody_gives = administrate.rows.is_empty() && give.rows.is_empty();
        let mut roles = Roles {
            known,
            administrate: administrate.rows.into_iter().collect(),
            give_products: give.rows.into_iter().collect(),
            ..Roles::default()
        };
        if !nobody_gives && let Err(error) = self.by_product(&mut roles).await {
            progress.trouble(&error);
            // Which of the sites a group gives something on is not known then, and for now perhaps not even what.
            roles.unread.extend(self.sites.iter().map(|site| site.site().to_owned()));
            roles.gives_unread = if_permitted::<()>(Err(error)).is_err();
            roles.products_unread = true;
        }
        self.ask_sites(&mut roles, Lane::Bulk, progress).await;
        Ok(roles)
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
    /// review a group want to know it, and seats are counted by it.
    ///
    /// # Errors
    /// When not all could be read; what could is noted all the same.
    async fn by_product(&self, roles: &mut Roles) -> Result<(), ReadError> {
        let products = self.products().await;
        let mut first = products.error;
        for (resource, access) in products.rows {
            let groups = self.groups_with(json!({"resourceIds": [resource], "limit": PAGE})).await;
            first = first.or(groups.error);
            for group in groups.rows {
                roles.gives.entry(group).or_default().insert(access.clone());
            }
        }
        first.map_or(Ok(()), Err)
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
            return if_permitted(Err(error));
        }
        let body: Value = answer.json().map_err(|text| shape(GROUP_ROLES, &text))?;
        let rows = body.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut products = Products::new();
        let mut told = true;
        if !rows.is_empty() {
            let walk = self.products().await;
            told = walk.error.is_none();
            if_permitted(walk.error.map_or(Ok(()), Err))?;
            products.extend(walk.rows);
        }
        let mut roles = Roles::of_one(id, rows, &products);
        roles.products_unread = !told;
        if !told {
            roles.unread.extend(self.sites.iter().map(|site| site.site().to_owned()));
        }
        Ok(roles)
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
