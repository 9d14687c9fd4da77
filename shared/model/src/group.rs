//! Groups and who is in them.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Email, GroupId};

/// A group as one directory holds it, without its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The directory's immutable id.
    pub id: GroupId,
    /// The name. At Google not unique; at Atlassian unique within its directory.
    pub name: String,
    /// The address, where groups have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Further addresses, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Email>,
    /// Text for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who may change it.
    pub ownership: Ownership,
    /// Whether being in it is what gives a product by default. Its membership costs or frees a seat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default_access: bool,
    /// Whether being in it makes somebody an administrator of something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grants_admin: bool,
    /// Whether the roles that it gives were read: then its name says nothing about them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub roles_known: bool,
    /// The products that it gives, as far as they were read, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gives: Vec<ProductAccess>,
    /// What it gives by default on some site could not be read: it may be a default access group, and seats of that site
    /// were not counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub access_unread: bool,
    /// Which products it gives could not be read: it may give more than is listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub products_unread: bool,
    /// It belongs to somebody else and cannot be read: it contributes nobody, and is listed as such.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opaque: bool,
}

/// A product on a site that being in a group gives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProductAccess {
    /// The product's key, such as `jira-software`.
    pub product: String,
    /// The address of the site; empty where it was not told.
    pub site: String,
    /// What the site says of its seats; `None`: nothing, or that there are as many as anybody wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<SeatCount>,
}

/// The seats of a product, as its site counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeatCount {
    /// All that are paid for.
    pub total: u64,
    /// Those that are still free.
    pub left: u64,
}

impl ProductAccess {
    /// A product on a site of whose seats nothing is said.
    pub fn new(product: impl Into<String>, site: impl Into<String>) -> Self {
        Self { product: product.into(), site: site.into(), seats: None }
    }

    /// Whether both are the same product on the same site: letter case, the scheme and what follows the host do not count.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.product.eq_ignore_ascii_case(&other.product) && same_site(&self.site, &other.site)
    }
}

/// Whether two addresses are the same site: scheme, letter case and what follows the host do not count.
pub fn same_site(one: &str, other: &str) -> bool {
    let host = |address: &str| {
        let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default().to_ascii_lowercase()
    };
    host(one) == host(other)
}

/// Whether a group's name is one that Atlassian gives to groups of default access: `jira-users-acme`,
/// `confluence-users-acme`, `jira-software-users` (reference/atlassian-cloud.md §7), `stash-users`.
pub fn says_default_access(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let products = [
        "jira",
        "jira-software",
        "jira-core",
        "jira-work-management",
        "jira-servicedesk",
        "jira-servicemanagement",
        "jira-product-discovery",
        "confluence",
        "bitbucket",
        // Bitbucket Data Center's own, by the product's first name.
        "stash",
        "compass",
    ];
    products.iter().any(|product| {
        name.strip_prefix(product)
            .and_then(|rest| rest.strip_prefix("-users"))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

/// Who may change a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// Administrators, and so we.
    Local,
    /// An identity provider's directory: read-only to all but that directory.
    IdentityProvider,
    /// Its own members (an Atlassian team): never ours to change.
    Members,
}

impl Ownership {
    /// The name in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::IdentityProvider => "identity-provider",
            Self::Members => "members",
        }
    }

    /// Reads the name in rows and on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Local, Self::IdentityProvider, Self::Members].into_iter().find(|o| o.as_str() == text)
    }
}

/// One entry of a group's member list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// What kind of member it is, with its id.
    #[serde(flatten)]
    pub kind: MemberKind,
    /// In which role.
    pub role: Role,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub enum MemberKind {
    /// A person or account. People of other domains are rows of [`crate::User`] too, with
    /// [`crate::Standing::Unlisted`].
    User(AccountId),
    /// Another group.
    Group(GroupId),
    /// Everybody of the customer (Google's `CUSTOMER` member). The id is the customer's.
    Everyone(String),
    /// Something that is never a person: a service account, a device, an unknown kind. It contributes nobody and is
    /// counted.
    Other(String),
}

impl MemberKind {
    /// The vendor's id of the member, whatever it is.
    pub fn id(&self) -> &str {
        match self {
            Self::User(id) => id.as_str(),
            Self::Group(id) => id.as_str(),
            Self::Everyone(id) | Self::Other(id) => id,
        }
    }

    /// The kind's name in rows and on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
            Self::Everyone(_) => "everyone",
            Self::Other(_) => "other",
        }
    }

    /// From the kind's name and the member's id, as rows and messages hold them.
    pub fn parse(kind: &str, id: &str) -> Option<Self> {
        match kind {
            "user" => AccountId::new(id).ok().map(Self::User),
            "group" => GroupId::new(id).ok().map(Self::Group),
            "everyone" => Some(Self::Everyone(id.to_owned())),
            "other" => Some(Self::Other(id.to_owned())),
            _ => None,
        }
    }
}

/// The role of a member in a group at the source. Atlassian has none: everybody is a [`Role::Member`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// Owner.
    Owner,
    /// Manager.
    Manager,
    /// Member; also what a missing role means.
    #[default]
    Member,
}

impl Role {
    /// The vendor's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "OWNER",
            Self::Manager => "MANAGER",
            Self::Member => "MEMBER",
        }
    }

    /// Reads the vendor's name in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Manager, Self::Member].into_iter().find(|role| role.as_str().eq_ignore_ascii_case(text))
    }
}

impl Group {
    /// A local group with nothing but an id and a name.
    pub fn new(id: GroupId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            email: None,
            aliases: Vec::new(),
            description: String::new(),
            ownership: Ownership::Local,
            default_access: false,
            grants_admin: false,
            roles_known: false,
            gives: Vec::new(),
            access_unread: false,
            products_unread: false,
            opaque: false,
        }
    }
}
