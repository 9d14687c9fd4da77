//! What the Atlassian twin does where the documents leave the answer open.
//!
//! Lag and rate limits are not here: they are in the engine's tables, under the families and limits that
//! [`crate::atlassian`] names.

use serde::{Deserialize, Serialize};

/// Behaviour of the Atlassian side, changeable while the twin runs.
///
/// Defaults are those of the behaviour table; every field is a point where sources disagree or are silent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AtlassianSwitches {
    /// Milliseconds by which an assigned or revoked role is seen later than other writes; up to 30 s are documented.
    pub role_lag_ms: i64,
    /// Milliseconds by which a Jira site that is a view of an organization lags behind it.
    pub site_lag_ms: i64,
    /// Milliseconds until a queued removal of a person from the directory takes effect.
    pub user_removal_delay_ms: i64,
    /// Status of the v1 operations that ended on 2026-06-30.
    pub dead_v1_status: u16,
    /// Status of a membership added through the organization API (200, 201 or 204).
    pub org_add_status: u16,
    /// Status of a membership removed through the organization API (204 or 200).
    pub org_remove_status: u16,
    /// Status of a group deleted through the organization API (204 or 200).
    pub org_delete_group_status: u16,
    /// Status of suspend and restore (200 or 204).
    pub org_suspend_status: u16,
    /// Status of a person removed from the directory (202 or 204).
    pub org_delete_user_status: u16,
    /// Status of an accepted invitation (200 or 202).
    pub org_invite_status: u16,
    /// Status of a role assigned or revoked (200, 202 or 204).
    pub org_role_status: u16,
    /// Status of adding somebody who already is a member; the body says "already" whatever the status.
    pub org_add_existing_status: u16,
    /// What the organization API answers to deleting a group that still has members.
    pub org_delete_non_empty: NonEmptyGroup,
    /// Which of the two documented refusals a full licence gets.
    pub org_licence_refusal: LicenceRefusal,
    /// Largest `limit` that the organization API accepts; more is 400.
    pub org_search_limit_max: usize,
    /// Whether a role may be assigned to a group that an identity provider owns.
    pub org_roles_on_external_groups: bool,
    /// Whether the organization has a paid subscription; without one an invitation is 402.
    pub org_paid: bool,
    /// How cursors remember their place.
    pub cursor: CursorPlace,
    /// Milliseconds after which a cursor is refused; zero means never.
    pub cursor_life_ms: i64,
    /// Whether a deactivated account may be added to a group (organization, Jira).
    pub add_inactive: bool,
    /// Status of a SCIM PATCH that adds a member twice.
    pub scim_add_existing_status: u16,
    /// Status of a SCIM PATCH that removes somebody who is not a member.
    pub scim_remove_non_member_status: u16,
    /// Largest page of a SCIM listing.
    pub scim_count_max: usize,
    /// Most members one SCIM PATCH may name; zero means no cap. More is 400.
    pub scim_members_per_patch: usize,
    /// What DELETE of a SCIM user does.
    pub scim_delete_user: ScimDelete,
    /// Whether deactivating an account outside claimed domains takes its synced groups away.
    pub scim_deactivated_external_loses_groups: bool,
    /// Whether SCIM may create people outside claimed domains.
    pub scim_accepts_unclaimed_domains: bool,
    /// Whether an added member without a free seat is accepted (and has no access) or refused.
    pub scim_accepts_without_seat: bool,
    /// Status of every SCIM call while the organization has no Guard subscription (403 or 404).
    pub scim_without_guard_status: u16,
    /// Whether those whose tokens we have administer their sites: if not, every change of a group there is 403.
    pub site_administrators: bool,
    /// Status of a Jira write to a group that an identity provider owns.
    pub jira_external_group_status: u16,
    /// Status of deleting a default or administrators' group through Jira.
    pub jira_protected_group_status: u16,
    /// Status of a Jira call that names an unknown account.
    pub jira_unknown_user_status: u16,
    /// Most groups the picker answers with.
    pub jira_picker_limit: usize,
    /// Largest page of Jira's `group/bulk`.
    pub jira_bulk_groups_max: usize,
    /// Hides every e-mail address from Jira sites, whatever the account's own setting.
    pub jira_hides_emails: bool,
    /// Whether searching people for a whole address finds somebody whose address is hidden.
    pub jira_finds_hidden_emails: bool,
    /// Whether Jira's listings of people name portal-only accounts.
    pub jira_lists_customers: bool,
    /// Whether experimental operations of service management want the header `X-ExperimentalApi: opt-in`.
    pub jsm_needs_opt_in: bool,
    /// Largest page of service management.
    pub jsm_page_max: usize,
    /// Status of a change of a customer organization that an identity provider owns.
    pub jsm_scim_managed_status: u16,
}

/// What happens to a group that still has members when it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NonEmptyGroup {
    /// 409, code `ADMIN-409-5`.
    Refuse,
    /// It is deleted like any other.
    Delete,
}

/// Which refusal a full licence gets from the organization API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LicenceRefusal {
    /// 409, code `ADMIN-409-3`.
    Conflict,
    /// 400, code `ADMIN-400-32`.
    BadRequest,
}

/// How a cursor remembers where the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CursorPlace {
    /// After the last element shown: changes between pages move nobody.
    Element,
    /// A number of elements: what is removed between pages hides somebody else.
    Offset,
}

/// What DELETE of a SCIM user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScimDelete {
    /// Text of 2026: the record goes, a managed account is deactivated.
    Unlink,
    /// Text of 2022: like `active: false`, later calls answer 404.
    Deactivate,
}

impl Default for AtlassianSwitches {
    fn default() -> Self {
        Self {
            role_lag_ms: 0,
            site_lag_ms: 0,
            user_removal_delay_ms: 5_000,
            dead_v1_status: 410,
            org_add_status: 200,
            org_remove_status: 204,
            org_delete_group_status: 204,
            org_suspend_status: 200,
            org_delete_user_status: 202,
            org_invite_status: 200,
            org_role_status: 200,
            org_add_existing_status: 409,
            org_delete_non_empty: NonEmptyGroup::Refuse,
            org_licence_refusal: LicenceRefusal::Conflict,
            org_search_limit_max: 100,
            org_roles_on_external_groups: true,
            org_paid: true,
            cursor: CursorPlace::Element,
            cursor_life_ms: 0,
            add_inactive: false,
            scim_add_existing_status: 200,
            scim_remove_non_member_status: 200,
            scim_count_max: 10_000,
            scim_members_per_patch: 0,
            scim_delete_user: ScimDelete::Unlink,
            scim_deactivated_external_loses_groups: true,
            scim_accepts_unclaimed_domains: true,
            scim_accepts_without_seat: true,
            scim_without_guard_status: 403,
            site_administrators: true,
            jira_external_group_status: 403,
            jira_protected_group_status: 400,
            jira_unknown_user_status: 404,
            jira_picker_limit: 20,
            jira_bulk_groups_max: 50,
            jira_hides_emails: false,
            jira_finds_hidden_emails: false,
            jira_lists_customers: true,
            jsm_needs_opt_in: true,
            jsm_page_max: 50,
            jsm_scim_managed_status: 403,
        }
    }
}
