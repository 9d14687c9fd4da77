//! What kinds of directory there are and what each can do.

use serde::{Deserialize, Serialize};

/// The kind of a directory, as the policy file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectoryKind {
    /// Google Workspace: users, groups, nested groups, aliases.
    GoogleWorkspace,
    /// Another identity provider that pushes SCIM to us.
    ScimInbound,
    /// An Atlassian organization, through the organization API v2.
    AtlassianOrg,
    /// An identity-provider directory of an organization, through the user provisioning API. It owns its groups.
    AtlassianScim,
    /// A Jira Cloud site.
    JiraCloud,
    /// A Confluence Cloud site.
    ConfluenceCloud,
    /// The customers of a service desk, or an organization of customers.
    JsmCustomers,
    /// Jira Data Center.
    JiraDc,
    /// Confluence Data Center.
    ConfluenceDc,
    /// Bitbucket Data Center.
    BitbucketDc,
    /// Crowd.
    Crowd,
}

/// Which way facts flow through a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Only read: Google Workspace, inbound SCIM.
    Source,
    /// Read and written: everything at Atlassian. May also be the source of a rule.
    Target,
}

impl DirectoryKind {
    /// All kinds, in the order of the enumeration.
    pub const ALL: [Self; 11] = [
        Self::GoogleWorkspace,
        Self::ScimInbound,
        Self::AtlassianOrg,
        Self::AtlassianScim,
        Self::JiraCloud,
        Self::ConfluenceCloud,
        Self::JsmCustomers,
        Self::JiraDc,
        Self::ConfluenceDc,
        Self::BitbucketDc,
        Self::Crowd,
    ];

    /// The name in the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GoogleWorkspace => "google-workspace",
            Self::ScimInbound => "scim-inbound",
            Self::AtlassianOrg => "atlassian-org",
            Self::AtlassianScim => "atlassian-scim",
            Self::JiraCloud => "jira-cloud",
            Self::ConfluenceCloud => "confluence-cloud",
            Self::JsmCustomers => "jsm-customers",
            Self::JiraDc => "jira-dc",
            Self::ConfluenceDc => "confluence-dc",
            Self::BitbucketDc => "bitbucket-dc",
            Self::Crowd => "crowd",
        }
    }

    /// Whether we may write to it.
    pub const fn side(self) -> Side {
        match self {
            Self::GoogleWorkspace | Self::ScimInbound => Side::Source,
            _ => Side::Target,
        }
    }

    /// Whether groups may hold groups there. Atlassian Cloud is flat.
    pub const fn nests(self) -> bool {
        matches!(self, Self::GoogleWorkspace | Self::ScimInbound | Self::Crowd)
    }

    /// Whether names of groups are the same without regard to (ASCII) case there. Organization search is
    /// case-insensitive (reference/atlassian-cloud.md §1.4); Data Center and Crowd store names in lower case.
    pub const fn folds_group_names(self) -> bool {
        !matches!(self, Self::GoogleWorkspace)
    }

    /// Whether a sign-in is taken away there by taking what lets somebody in: the groups with a global permission, and the
    /// permission of their own. Bitbucket Data Center deactivates nobody (reference/atlassian-dc.md §0.4).
    pub const fn locks_out_by_groups(self) -> bool {
        matches!(self, Self::BitbucketDc)
    }

    /// Whether accounts there lead projects and components, which must be handed over before they are deactivated.
    pub const fn has_leads(self) -> bool {
        matches!(self, Self::JiraDc)
    }

    /// Whether a member added there must be one of its own accounts that already exist.
    pub const fn needs_account(self) -> bool {
        matches!(self.side(), Side::Target)
    }
}
