//! What Data Center does where the documents leave the answer open (atlassian-dc.md §8, §11).

use serde::{Deserialize, Serialize};

/// Behaviour of one instance, changeable while the twin runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DcSwitches {
    /// Jira and Confluence take a bad token for nobody and answer what everybody may see; else it is 401.
    pub bad_token_is_anonymous: bool,
    /// Jira: status of removing somebody who is not a member.
    pub jira_remove_stranger_status: u16,
    /// Jira: status of deleting a group that is not there; the document lists 400 and 404.
    pub jira_delete_missing_group_status: u16,
    /// Jira: status of an addition beyond the licence.
    pub jira_licence_status: u16,
    /// Jira: most groups that the picker answers with (`jira.ajax.autocomplete.limit`).
    pub jira_picker_limit: usize,
    /// Jira: largest page of members.
    pub jira_member_page: usize,
    /// Jira: how far `user/search` goes in all; zero means to the end, as before Jira 10 (JRASERVER-78660).
    pub jira_search_total: usize,
    /// Confluence: largest page.
    pub confluence_page: usize,
    /// Bitbucket: largest page.
    pub bitbucket_page: usize,
    /// Bitbucket: when one name of a batch is unknown, the others are added all the same.
    pub bitbucket_adds_the_known: bool,
    /// Bitbucket: status of removing somebody who is not a member.
    pub bitbucket_remove_stranger_status: u16,
    /// Crowd: the reason given for a directory that is only read.
    pub crowd_read_only_reason: String,
    /// Crowd: the application may only come from its listed addresses, and this is none of them.
    pub crowd_address_refused: bool,
    /// How many nodes stand behind the address; each has a bucket of its own.
    pub nodes: u32,
    /// The version that the instance says it has; empty for that of its document.
    pub version: String,
}

impl Default for DcSwitches {
    fn default() -> Self {
        Self {
            bad_token_is_anonymous: true,
            jira_remove_stranger_status: 400,
            jira_delete_missing_group_status: 404,
            jira_licence_status: 400,
            jira_picker_limit: 20,
            jira_member_page: 50,
            jira_search_total: 100,
            confluence_page: 200,
            bitbucket_page: 1_000,
            bitbucket_adds_the_known: false,
            bitbucket_remove_stranger_status: 404,
            crowd_read_only_reason: "OPERATION_FAILED".to_owned(),
            crowd_address_refused: false,
            nodes: 1,
            version: String::new(),
        }
    }
}
