//! What a target can do with people: an entry that asks for more is refused where it says so, not dead-lettered later.

use std::ops::Range;

use model::{DirectoryId, DirectoryKind};

use super::{
    context::{Context, Said},
    people::WrittenProvision,
    sync::WrittenRule,
};
use crate::{LeadFallback, LeaveAction, Provision, diagnostic::Code};

/// Attributes that an account at Data Center has (reference/atlassian-dc.md §2–§5).
const OF_DATA_CENTER: [&str; 5] =
    ["userName", "emails[primary].value", "displayName", "name.givenName", "name.familyName"];

/// Attributes of an account of an organization that can be set and are told (reference/atlassian-cloud.md §1.5, §2).
const OF_ORGANIZATION: [&str; 7] =
    ["displayName", "emails[primary].value", "title", "department", "organization", "location", "timezone"];

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:";

/// Checks one entry against the kind of its target.
pub(super) fn entry(ctx: &mut Context<'_>, entry: &WrittenProvision, to: &DirectoryId, kind: DirectoryKind) {
    if !keeps_accounts(kind) {
        let span = entry.to.as_ref().map_or(&entry.span, |to| &to.span);
        let message = format!("\"{to}\" is {}, which makes no accounts", kind.as_str());
        let help = match kind {
            DirectoryKind::JsmCustomers => {
                "remove the entry: a rule with create = true makes portal-only accounts for customers"
            }
            _ => "name the organization of the site or its provisioning directory (kind = \"atlassian-scim\")",
        };
        ctx.report(Code::NotATarget, span, message, help);
        return;
    }
    ways_to_leave(ctx, entry, kind);
    leads(ctx, entry, kind);
    attributes(ctx, entry, kind);
}

/// An entry makes accounts where no call can choose the user directory that is named: they would come to be in another one.
pub(super) fn user_directory(
    ctx: &mut Context<'_>,
    entry: &WrittenProvision,
    to: &DirectoryId,
    (kind, named): (DirectoryKind, &str),
) {
    // Bitbucket lists its directories: there it is looked up before anybody is made.
    if !entry.create || kind == DirectoryKind::BitbucketDc {
        return;
    }
    let span = entry.to.as_ref().map_or(&entry.span, |to| &to.span);
    let message = format!(
        "accounts cannot be made in the `user_directory` \"{}\" of \"{to}\": no call of a {} chooses among them",
        super::section::shown(named),
        kind.as_str()
    );
    let help = "name the Crowd that the directory comes from as a directory of its own, kind = \"crowd\"; or leave \
                `user_directory` out, and they are made in the first one that may be written";
    ctx.report(Code::NoEffect, span, message, help);
}

/// Only groups of an organization can be given products.
pub(super) fn gives(ctx: &mut Context<'_>, rule: &WrittenRule, kinds: impl Iterator<Item = Option<DirectoryKind>>) {
    // Where a kind is not known, something else was said already.
    if rule.gives.is_empty() || kinds.into_iter().any(|kind| kind.is_none_or(|it| it == DirectoryKind::AtlassianOrg)) {
        return;
    }
    let message =
        "`gives` has no effect: only groups of an organization (kind = \"atlassian-org\") can be given products";
    let help = "name the organization as `to`; a site that owns its groups says itself what they give, and an \
                organization of customers opens the portal of its `desk`";
    ctx.report(Code::NoEffect, &rule.gives_span, message, help);
}

/// Whether accounts are made and kept there. A site of an organization was resolved to the organization already.
const fn keeps_accounts(kind: DirectoryKind) -> bool {
    !matches!(kind, DirectoryKind::JiraCloud | DirectoryKind::ConfluenceCloud | DirectoryKind::JsmCustomers)
}

/// Only an organization tells the access to it from the account.
fn ways_to_leave(ctx: &mut Context<'_>, entry: &WrittenProvision, kind: DirectoryKind) {
    let ways = [entry.on_leave.suspended, entry.on_leave.archived, entry.on_leave.deleted];
    let of_organization = ways.iter().any(|way| matches!(way, LeaveAction::Suspend | LeaveAction::Remove));
    if of_organization && kind != DirectoryKind::AtlassianOrg {
        let message = "only an organization (kind = \"atlassian-org\") can suspend or remove people";
        let help = "write \"deactivate\" or \"keep\", or name the organization as `to`";
        ctx.report(Code::NoEffect, &entry.on_leave_span, message, help);
    }
}

fn leads(ctx: &mut Context<'_>, entry: &WrittenProvision, kind: DirectoryKind) {
    if entry.lead_fallback == LeadFallback::default() || kind.has_leads() {
        return;
    }
    let message = format!("`lead_fallback` has no effect: nobody leads anything at {}", kind.as_str());
    // Behind a Crowd there may well be a Jira whose projects nobody would lead any more.
    if kind == DirectoryKind::Crowd {
        let help = "Crowd knows no projects: write it in an entry to the Jira itself (kind = \"jira-dc\")";
        return ctx.report(Code::NoEffect, &entry.lead_fallback_span, message, help);
    }
    ctx.note(&entry.lead_fallback_span, message, "it takes effect in an entry to a jira-dc");
}

fn attributes(ctx: &mut Context<'_>, entry: &WrittenProvision, kind: DirectoryKind) {
    let (kept, what): (&[&str], &str) = match kind {
        DirectoryKind::AtlassianOrg => (&OF_ORGANIZATION, "an account of an organization"),
        DirectoryKind::JiraDc | DirectoryKind::ConfluenceDc | DirectoryKind::BitbucketDc => {
            (&OF_DATA_CENTER, "an account there")
        }
        // Crowd keeps whatever it is given beside those (reference/atlassian-dc.md §5).
        _ => return,
    };
    for name in &entry.attribute_names {
        let plain = name.value.strip_prefix(ENTERPRISE).unwrap_or(&name.value);
        if !kept.contains(&plain) {
            let message =
                format!("`{}` has no effect: {what} has no such attribute", super::section::shown(&name.value));
            let help = format!("remove it; {} can be set", listed(kept));
            ctx.report(Code::NoEffect, &name.span, message, help);
        }
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.join(", "),
    }
}

/// User names are made for Data Center alone; elsewhere people go by their address.
pub(super) fn user_names(
    ctx: &mut Context<'_>,
    username: Option<&Said<()>>,
    entries: Option<&[Provision]>,
    kind: impl Fn(&DirectoryId) -> Option<DirectoryKind>,
) {
    let (Some(said), Some(entries)) = (username, entries) else { return };
    let has_names = |kind: DirectoryKind| {
        use DirectoryKind as Kind;
        matches!(kind, Kind::JiraDc | Kind::ConfluenceDc | Kind::BitbucketDc | Kind::Crowd)
    };
    // Where a kind is not known, something else was said already.
    if entries.iter().any(|entry| kind(&entry.to).is_none_or(has_names)) {
        return;
    }
    let message = "`username` has no effect: no entry makes accounts with user names";
    ctx.note(
        &said.span,
        message,
        "it takes effect with [[people.provision]] to a jira-dc, confluence-dc, bitbucket-dc or crowd",
    );
}

/// The place of a key, for checks that come later.
pub(super) fn place(span: Range<usize>) -> Said<()> {
    Said { value: (), span }
}
