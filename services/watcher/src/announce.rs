//! What a commit means to the reconciler: events that say what changed, by id, and nothing else.

use bus::outgoing;
use contract::{DirectoryEvent, EventKind};
use model::{DirectoryId, Fact, TenantId};
use store::OutboxMessage;
use store::directory::Committed;

/// The messages of one commit; none when there is no news.
pub(crate) fn messages(
    tenant: &TenantId,
    directory: &DirectoryId,
    committed: &Committed,
    answered: &[Fact],
    traceparent: Option<&str>,
) -> Vec<OutboxMessage> {
    if !committed.is_news() {
        return Vec::new();
    }
    let event = |kind: EventKind, ids: Vec<String>| {
        let (tenant, directory) = (tenant.clone(), directory.clone());
        outgoing::event(&DirectoryEvent { tenant, directory, version: committed.version, kind, ids }, traceparent)
    };
    let mut messages = Vec::new();
    if !committed.users.is_empty() {
        messages.push(event(EventKind::Users, committed.users.iter().map(ToString::to_string).collect()));
    }
    if !committed.groups.is_empty() {
        messages.push(event(EventKind::Groups, committed.groups.iter().map(ToString::to_string).collect()));
    }
    if !committed.member_groups.is_empty() {
        messages.push(event(EventKind::Members, committed.member_groups.iter().map(ToString::to_string).collect()));
    }
    if committed.answers > 0 {
        messages.push(event(EventKind::Verified, answered.iter().map(Fact::key).collect()));
    }
    if committed.whole {
        messages.push(event(EventKind::Swept, Vec::new()));
    }
    messages
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use model::{AccountId, GroupId};

    use super::*;

    #[test]
    fn each_kind_of_news_is_one_message_and_no_news_is_none() {
        let (tenant, directory) = (TenantId::new("acme").unwrap(), DirectoryId::new("workspace").unwrap());
        let told = |committed: &Committed, answered: &[Fact]| {
            let messages = messages(&tenant, &directory, committed, answered, None);
            messages.iter().map(|message| message.subject.clone()).collect::<Vec<_>>()
        };
        assert!(told(&Committed { version: 7, ..Committed::default() }, &[]).is_empty());
        let fact = Fact::Group { directory: directory.clone(), group: GroupId::new("g").unwrap() };
        let committed = Committed {
            version: 8,
            users: vec![AccountId::new("u").unwrap()],
            member_groups: vec![GroupId::new("g").unwrap()],
            answers: 1,
            whole: true,
            ..Committed::default()
        };
        let kinds = ["users", "members", "verified", "swept"];
        let expected: Vec<_> =
            kinds.iter().map(|kind| format!("rollcall.v1.directory.acme.workspace.{kind}")).collect();
        assert_eq!(told(&committed, &[fact]), expected);
    }
}
