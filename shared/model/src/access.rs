//! What being in a group gives beside the group itself.

use serde::{Deserialize, Serialize};

use crate::{Group, ProductAccess};

/// Something that a group is to give to everybody in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "gives", rename_all = "kebab-case")]
pub enum Access {
    /// A product on a site, in a role: an organization's role assignment (reference/atlassian-cloud.md §1.4).
    Product {
        /// The product's key, such as `jira-software`.
        product: String,
        /// The address of the site, such as `https://acme.atlassian.net`.
        site: String,
        /// The role, such as `atlassian/user`. Never one that makes administrators.
        role: String,
    },
    /// The portal of a service desk, for an organization of customers that is attached to it (§6).
    Portal {
        /// The project key of the desk.
        desk: String,
    },
}

impl Access {
    /// What a portal is called where products are listed.
    pub const PORTAL: &str = "service-desk-portal";

    /// As it is listed in what a group gives, once it does.
    pub fn listed(&self) -> ProductAccess {
        match self {
            Self::Product { product, site, .. } => ProductAccess::new(product.as_str(), site.as_str()),
            Self::Portal { desk } => ProductAccess::new(Self::PORTAL, desk.as_str()),
        }
    }

    /// Whether the group gives it, in whichever role: what people gave in another one is theirs to change. `None`: what it
    /// gives is not known.
    pub fn is_given_by(&self, group: &Group) -> Option<bool> {
        let wanted = self.listed();
        let is = |given: &ProductAccess| given.is_same_place(&wanted);
        if group.gives.iter().any(is) {
            return Some(true);
        }
        (group.roles_known && !group.access_unread && !group.products_unread).then_some(false)
    }
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Product { product, site, role } => write!(f, "{product} on {site} as {role}"),
            Self::Portal { desk } => write!(f, "the portal of {desk}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::GroupId;

    #[test]
    fn a_group_gives_what_it_lists_and_what_is_not_read_is_not_known() {
        let jira = |site: &str| Access::Product {
            product: "jira-software".to_owned(),
            site: site.to_owned(),
            role: "atlassian/user".to_owned(),
        };
        let mut group = Group::new(GroupId::new("g").unwrap(), "eng");
        assert_eq!(jira("https://acme.atlassian.net").is_given_by(&group), None, "its roles were not read");
        group.roles_known = true;
        assert_eq!(jira("https://acme.atlassian.net").is_given_by(&group), Some(false));
        group.gives = vec![ProductAccess::new("Jira-Software", "https://ACME.atlassian.net/")];
        assert_eq!(jira("https://acme.atlassian.net").is_given_by(&group), Some(true));
        assert_eq!(jira("https://beta.atlassian.net").is_given_by(&group), Some(false));
        group.access_unread = true;
        assert_eq!(jira("https://beta.atlassian.net").is_given_by(&group), None, "it may give more than was read");
        assert_eq!(jira("https://acme.atlassian.net").is_given_by(&group), Some(true));
        (group.access_unread, group.products_unread) = (false, true);
        assert_eq!(jira("https://beta.atlassian.net").is_given_by(&group), None, "nor is it known of which products");
        group = Group { roles_known: true, ..Group::new(GroupId::new("7").unwrap(), "Partners") };
        let portal = Access::Portal { desk: "HELP".to_owned() };
        assert_eq!(portal.is_given_by(&group), Some(false));
        group.gives.push(portal.listed());
        assert_eq!(portal.is_given_by(&group), Some(true));
    }
}
