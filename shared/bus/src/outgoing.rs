//! Messages ready for an outbox: to be committed with the rows that they speak of.

use contract::{
    CONTRACT_VERSION, DeadLetterNotice, DirectoryEvent, Payload, Verify, headers,
    subjects::{Subject, UNKNOWN_TENANT},
};
use model::{Command, Outcome, TenantId};
use store::OutboxMessage;

/// An event with more ids than this names none, which means "everything of the kind may have changed".
const IDS_MAX: usize = 1000;

/// A directory event. There is at most one of each kind with a version.
pub fn event(event: &DirectoryEvent, traceparent: Option<&str>) -> OutboxMessage {
    let DirectoryEvent { tenant, directory, version, kind, ids } = event;
    let subject = Subject::Directory { tenant: tenant.clone(), directory: directory.clone(), kind: *kind };
    let id = format!("directory/{tenant}/{directory}/{version}/{}", kind.as_str());
    let topic = format!("{tenant}/{directory}");
    if ids.len() > IDS_MAX {
        return message(
            &subject,
            topic,
            String::new(),
            id,
            &DirectoryEvent { ids: Vec::new(), ..event.clone() },
            traceparent,
        );
    }
    message(&subject, topic, String::new(), id, event, traceparent)
}

/// A request to verify. `number` tells requests apart that ask for the same again; the number of the decision serves.
pub fn verify(verify: &Verify, number: u64, traceparent: Option<&str>) -> OutboxMessage {
    let Verify { tenant, directory, .. } = verify;
    let subject = Subject::Verify { tenant: tenant.clone(), directory: directory.clone() };
    let id = format!("verify/{tenant}/{directory}/{number}");
    message(&subject, format!("{tenant}/{directory}"), String::new(), id, verify, traceparent)
}

/// A command. Settled by its outcome.
pub fn command(command: &Command, traceparent: Option<&str>) -> OutboxMessage {
    let Command { tenant, target, lane, .. } = command;
    let subject = Subject::Command { tenant: tenant.clone(), target: target.clone(), lane: *lane };
    let (topic, key) = (format!("{tenant}/{target}"), command.id.to_string());
    message(&subject, topic, key, format!("command/{}", command.id), command, traceparent)
}

/// An outcome. Settled when the reconciler has taken it in.
pub fn outcome(outcome: &Outcome, traceparent: Option<&str>) -> OutboxMessage {
    let Outcome { tenant, target, command, .. } = outcome;
    let subject = Subject::Outcome { tenant: tenant.clone(), target: target.clone() };
    let topic = format!("{tenant}/{target}");
    message(&subject, topic, command.to_string(), format!("outcome/{command}"), outcome, traceparent)
}

/// A notice of a dead letter that is a row. `attempts` tells one meeting of the letter from the next.
pub fn notice(notice: &DeadLetterNotice, attempts: u32, traceparent: Option<&str>) -> OutboxMessage {
    let DeadLetterNotice { tenant, target, .. } = notice;
    let subject = Subject::DeadLetter { tenant: tenant.clone(), target: target.clone() };
    let tenant = tenant.as_ref().map_or(UNKNOWN_TENANT, TenantId::as_str);
    let id = format!("deadletter/{tenant}/{target}/{}/{attempts}", notice.id.unwrap_or(0));
    message(&subject, format!("{tenant}/{target}"), String::new(), id, notice, traceparent)
}

fn message<T: Payload>(
    subject: &Subject,
    topic: String,
    settle_key: String,
    message_id: String,
    value: &T,
    traceparent: Option<&str>,
) -> OutboxMessage {
    let mut sent_with = vec![(headers::CONTRACT.to_owned(), CONTRACT_VERSION.to_string())];
    sent_with.extend(traceparent.map(|parent| (headers::TRACEPARENT.to_owned(), parent.to_owned())));
    OutboxMessage {
        topic,
        settle_key,
        subject: subject.to_string(),
        message_id,
        payload: value.to_bytes(),
        headers: sent_with,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use contract::EventKind;
    use model::DirectoryId;

    use super::*;

    #[test]
    fn an_event_of_very_many_ids_names_none() {
        let event_of = |count: usize| DirectoryEvent {
            tenant: TenantId::new("acme").unwrap(),
            directory: DirectoryId::new("workspace").unwrap(),
            version: 3,
            kind: EventKind::Users,
            ids: (0..count).map(|n| n.to_string()).collect(),
        };
        let read = |count| DirectoryEvent::from_bytes(&event(&event_of(count), None).payload).unwrap();
        assert_eq!(read(IDS_MAX), event_of(IDS_MAX));
        assert_eq!(read(IDS_MAX + 1), event_of(0));
    }

    #[test]
    fn a_message_carries_its_contract_and_its_trace() {
        let of = Verify {
            tenant: TenantId::new("acme").unwrap(),
            directory: DirectoryId::new("workspace").unwrap(),
            facts: Vec::new(),
        };
        let sent = verify(&of, 7, Some("00-trace"));
        assert_eq!(sent.message_id, "verify/acme/workspace/7");
        assert!(sent.headers.contains(&(headers::TRACEPARENT.to_owned(), "00-trace".to_owned())));
        assert!(sent.headers.contains(&(headers::CONTRACT.to_owned(), CONTRACT_VERSION.to_string())));
    }
}
