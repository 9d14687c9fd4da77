//! People and accounts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AccountId, Email};

/// A person or account as one directory holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The directory's immutable id.
    pub id: AccountId,
    /// The primary address; hidden or absent in some directories.
    pub email: Option<Email>,
    /// Further addresses of the same person, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Email>,
    /// What the directory keeps as `externalId`: the id of the same person elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The Atlassian account behind this user, where the directory is not itself keyed by accounts
    /// (SCIM: `urn:scim:schemas:extension:atlassian-external:1.0`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// Whether and how the person may work.
    pub state: UserState,
    /// How the directory knows the person.
    pub standing: Standing,
    /// Path of the organizational unit, such as `/Staff/Engineering`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_unit: Option<String>,
    /// Whether the person administers the directory itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
    /// Further attributes by their path, such as `organizations[primary].department`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// Whether and how a person may work in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserState {
    /// May work.
    Active,
    /// Invited or being provisioned; counts as present, is not yet usable.
    Pending,
    /// Suspended for now.
    Suspended,
    /// Archived (Google) .
    Archived,
    /// Deactivated at the target.
    Deactivated,
    /// Has an account that works, of which this directory knows no membership: not invited yet, or taken out. Can be in no
    /// group until invited.
    Uninvited,
    /// Deleted; the row is a tombstone.
    Deleted,
}

impl UserState {
    /// Whether the person belongs into the groups that the source puts them into.
    pub const fn works(self) -> bool {
        matches!(self, Self::Active | Self::Pending)
    }

    /// The name in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Suspended => "suspended",
            Self::Archived => "archived",
            Self::Deactivated => "deactivated",
            Self::Uninvited => "uninvited",
            Self::Deleted => "deleted",
        }
    }

    /// Reads the name in rows and on the wire. An unknown name is nobody's state: `None`.
    pub fn parse(text: &str) -> Option<Self> {
        const ALL: [UserState; 7] = [
            UserState::Active,
            UserState::Pending,
            UserState::Suspended,
            UserState::Archived,
            UserState::Deactivated,
            UserState::Uninvited,
            UserState::Deleted,
        ];
        ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// How a directory knows a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// In the directory's own list of users.
    Listed,
    /// Known only as a member of a group: people of other domains at Google. Whether such a person still exists
    /// cannot be asked by itself.
    Unlisted,
}

/// Attribute of an account: `"false"` where nothing lets it in although it works, because its directory deactivates
/// nobody and takes the access away instead (Bitbucket Data Center: no global permission).
pub const LET_IN: &str = "let-in";

impl User {
    /// Whether the account, if it works, opens anything: see [`LET_IN`].
    pub fn is_let_in(&self) -> bool {
        self.attributes.get(LET_IN).is_none_or(|said| said != "false")
    }

    /// An active, listed user with nothing but an id and perhaps an address.
    pub fn new(id: AccountId, email: Option<Email>) -> Self {
        Self {
            id,
            email,
            aliases: Vec::new(),
            external_id: None,
            account: None,
            display_name: None,
            given_name: None,
            family_name: None,
            state: UserState::Active,
            standing: Standing::Listed,
            org_unit: None,
            admin: false,
            attributes: BTreeMap::new(),
        }
    }
}
