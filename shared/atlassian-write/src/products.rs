//! The products of an organization, which roles are assigned on: read once, and again when one is not found.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use model::{Access, Disposition, Lane, ProductAccess, Rejection};
use outbound::{Client, Request};
use serde_json::json;

use crate::{
    Answered,
    target::{list, look, not_here, text},
};

/// Largest page of products (reference/atlassian-cloud.md §1.2).
const PAGE: u64 = 1000;

/// Pages that are walked at most: a hundred thousand products.
const PAGES_MAX: usize = 100;

/// The resources of an organization and what each is, as they were read last.
#[derive(Debug, Default)]
pub(crate) struct Products(Mutex<Vec<(String, ProductAccess)>>);

impl Products {
    /// The id of the product that this is about (the ARI that roles are assigned on), and whether it was only remembered.
    ///
    /// # Errors
    /// What to do where there is no such product, or where it cannot be read which there are. Nothing was changed.
    pub(crate) async fn resource(
        &self,
        client: &Client,
        org: &str,
        lane: Lane,
        access: &Access,
    ) -> Result<(String, bool), Answered> {
        let wanted = access.listed();
        if let Some(id) = only(&self.known(), &wanted) {
            return Ok((id, true));
        }
        let read = read(client, org, lane).await?;
        let found = only(&read, &wanted).ok_or_else(|| missing(access, &read));
        *self.known() = read;
        Ok((found?, false))
    }

    /// What was read is not believed any more.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<(String, ProductAccess)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The only one that is this product on this site.
fn only(products: &[(String, ProductAccess)], wanted: &ProductAccess) -> Option<String> {
    match ids(products, wanted).as_slice() {
        [id] => Some((*id).to_owned()),
        _ => None,
    }
}

/// The ids of everything that is this product on this site.
fn ids<'a>(products: &'a [(String, ProductAccess)], wanted: &ProductAccess) -> Vec<&'a str> {
    let found = products.iter().filter(|(_, product)| product.is_same_place(wanted)).map(|(id, _)| id.as_str());
    found.collect::<BTreeSet<_>>().into_iter().collect()
}

/// There is none, or more than one, and only a person can say what is meant.
fn missing(access: &Access, products: &[(String, ProductAccess)]) -> Answered {
    let wanted = access.listed();
    let found = ids(products, &wanted).len();
    if found > 1 {
        return not_here(&format!("{access}: the organization has {found} products like that: give the role by hand"));
    }
    let there = products.iter().filter(|(_, product)| model::same_site(&product.site, &wanted.site));
    let there: BTreeSet<&str> = there.map(|(_, product)| product.product.as_str()).collect();
    let there = if there.is_empty() { "none".to_owned() } else { Vec::from_iter(there).join(", ") };
    not_here(&format!(
        "{access}: the organization has no such product (on that site: {there}): correct the product or the site in the \
         policy, or add the product to the site"
    ))
}

async fn read(client: &Client, org: &str, lane: Lane) -> Result<Vec<(String, ProductAccess)>, Answered> {
    let mut products = Vec::new();
    let mut cursor = String::new();
    for _ in 0..PAGES_MAX {
        // With a cursor everything else is ignored (§1.4).
        let body = if cursor.is_empty() { json!({ "limit": PAGE }) } else { json!({ "cursor": cursor }) };
        let request = Request::post("/admin/v2/orgs/{orgId}/workspaces", &[org]).json(body).lane(lane);
        let page = look(client, &request).await.map_err(unread)?.unwrap_or_default();
        products.extend(list(&page, "/data").iter().filter_map(atlassian::product));
        let next = text(&page, "/links/next");
        if next.is_empty() || next == cursor {
            break;
        }
        next.clone_into(&mut cursor);
    }
    Ok(products)
}

/// A read came to nothing, and nothing was sent after it: another attempt may have more luck, unless it is a question of
/// rights.
fn unread(answered: Answered) -> Answered {
    let disposition = match (answered.disposition, answered.status) {
        (Disposition::Unknown, Some(403)) => Disposition::Reject(Rejection::Auth),
        (Disposition::Unknown, Some(400..=499)) => Disposition::Reject(Rejection::Validation),
        (Disposition::Unknown, _) => Disposition::Retry { after: None },
        (other, _) => other,
    };
    let text = format!("the products of the organization cannot be read: {}", answered.text);
    // A page in a shape that we do not know came with a good status, and nothing was done by it.
    let status = answered.status.filter(|status| !(200..300).contains(status));
    Answered { status, text, ..answered.with(disposition) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn jira() -> Access {
        let text = |it: &str| it.to_owned();
        Access::Product {
            product: text("jira-software"),
            site: text("https://acme.atlassian.net"),
            role: text("atlassian/user"),
        }
    }

    #[test]
    fn a_product_is_found_by_what_it_is_and_where_and_two_are_nobodys() {
        let product = |id: &str, key: &str, site: &str| (id.to_owned(), ProductAccess::new(key, site));
        let mut all = vec![
            product("a", "jira-software", "https://beta.atlassian.net"),
            product("b", "Jira-Software", "https://ACME.atlassian.net/wiki"),
            product("c", "confluence", "https://acme.atlassian.net"),
        ];
        assert_eq!(only(&all, &jira().listed()).unwrap(), "b");
        let told = missing(&jira(), all.get(2..).unwrap());
        assert_eq!(told.disposition, Disposition::Reject(Rejection::Validation));
        assert!(told.text.contains("jira-software on https://acme.atlassian.net") && told.text.contains("confluence"));
        assert!(missing(&jira(), &[]).text.contains("correct the product or the site"));
        all.push(product("b", "jira-software", "acme.atlassian.net"));
        assert_eq!(only(&all, &jira().listed()).unwrap(), "b", "told twice");
        all.push(product("d", "jira-software", "acme.atlassian.net"));
        assert_eq!(only(&all, &jira().listed()), None);
        assert!(missing(&jira(), &all).text.contains("2 products"));
    }

    #[test]
    fn what_was_only_read_is_tried_again_and_a_right_that_is_missing_is_not() {
        let of = |disposition, status| unread(Answered { status, ..not_here("").with(disposition) });
        let again = of(Disposition::Unknown, Some(200));
        assert_eq!((again.disposition, again.is_progress()), (Disposition::Retry { after: None }, false));
        assert_eq!(of(Disposition::Unknown, Some(403)).disposition, Disposition::Reject(Rejection::Auth));
        assert_eq!(of(Disposition::Unknown, Some(503)).disposition, Disposition::Retry { after: None });
        assert_eq!(of(Disposition::Halt, Some(401)).disposition, Disposition::Halt);
    }
}
