//! Subjects: how messages find their readers (DESIGN §4.1). Our own ids stand as they are, they are slugs; whatever
//! comes from a vendor or from a person stands in hexadecimal.

use model::{DirectoryId, Lane, TenantId};

use crate::EventKind;

/// What every subject begins with.
pub const PREFIX: &str = "rollcall.v1";

/// Directory events, with placeholders.
pub const DIRECTORY: &str = "rollcall.v1.directory.{tenant}.{directory}.{kind}";
/// Requests to verify, with placeholders.
pub const VERIFY: &str = "rollcall.v1.verify.{tenant}.{directory}";
/// Commands, with placeholders.
pub const COMMAND: &str = "rollcall.v1.command.{tenant}.{target}.{lane}";
/// Outcomes, with placeholders.
pub const OUTCOME: &str = "rollcall.v1.outcome.{tenant}.{target}";

/// The tenant in the subject of dead letters whose bytes could not be read.
pub const UNKNOWN_TENANT: &str = "_";

/// What a subject is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A directory changed, was swept or answered.
    Directory {
        /// Whose.
        tenant: TenantId,
        /// Which.
        directory: DirectoryId,
        /// What.
        kind: EventKind,
    },
    /// Facts to be read one by one.
    Verify {
        /// Whose.
        tenant: TenantId,
        /// Which.
        directory: DirectoryId,
    },
    /// Something to do.
    Command {
        /// Whose.
        tenant: TenantId,
        /// Where.
        target: DirectoryId,
        /// How urgently.
        lane: Lane,
    },
    /// What became of it.
    Outcome {
        /// Whose.
        tenant: TenantId,
        /// Where.
        target: DirectoryId,
    },
    /// What will not be tried again by itself; `None`: nobody's, the bytes could not be read.
    DeadLetter {
        /// Whose.
        tenant: Option<TenantId>,
        /// At which target, or by which consumer.
        target: String,
    },
}

impl Subject {
    /// Reads a subject. `None`: it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(PREFIX)?.strip_prefix('.')?.split('.');
        let (verb, tenant, target) = (parts.next()?, parts.next()?, parts.next()?);
        let last = parts.next();
        if parts.next().is_some() {
            return None;
        }
        let tenant_id = || TenantId::new(tenant).ok();
        let target_id = || DirectoryId::new(target).ok();
        match (verb, last) {
            ("directory", Some(kind)) => {
                Some(Self::Directory { tenant: tenant_id()?, directory: target_id()?, kind: EventKind::parse(kind)? })
            }
            ("verify", None) => Some(Self::Verify { tenant: tenant_id()?, directory: target_id()? }),
            ("command", Some(lane)) => {
                Some(Self::Command { tenant: tenant_id()?, target: target_id()?, lane: Lane::parse(lane)? })
            }
            ("outcome", None) => Some(Self::Outcome { tenant: tenant_id()?, target: target_id()? }),
            ("deadletter", None) => {
                let tenant = if tenant == UNKNOWN_TENANT { None } else { Some(tenant_id()?) };
                Some(Self::DeadLetter { tenant, target: target.to_owned() })
            }
            _ => None,
        }
    }

    /// The subject with placeholders where ids stand: what spans are named by.
    pub const fn template(&self) -> &'static str {
        match self {
            Self::Directory { .. } => DIRECTORY,
            Self::Verify { .. } => VERIFY,
            Self::Command { .. } => COMMAND,
            Self::Outcome { .. } => OUTCOME,
            Self::DeadLetter { .. } => "rollcall.v1.deadletter.{tenant}.{target}",
        }
    }

    /// Whose, and at which directory or consumer.
    pub fn place(&self) -> (&str, &str) {
        match self {
            Self::Directory { tenant, directory, .. } | Self::Verify { tenant, directory } => {
                (tenant.as_str(), directory.as_str())
            }
            Self::Command { tenant, target, .. } | Self::Outcome { tenant, target } => {
                (tenant.as_str(), target.as_str())
            }
            Self::DeadLetter { tenant, target } => {
                (tenant.as_ref().map_or(UNKNOWN_TENANT, TenantId::as_str), target.as_str())
            }
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory { tenant, directory, kind } => {
                write!(f, "{PREFIX}.directory.{tenant}.{directory}.{}", kind.as_str())
            }
            Self::Verify { tenant, directory } => write!(f, "{PREFIX}.verify.{tenant}.{directory}"),
            Self::Command { tenant, target, lane } => {
                write!(f, "{PREFIX}.command.{tenant}.{target}.{}", lane.as_str())
            }
            Self::Outcome { tenant, target } => write!(f, "{PREFIX}.outcome.{tenant}.{target}"),
            Self::DeadLetter { tenant, target } => {
                let tenant = tenant.as_ref().map_or(UNKNOWN_TENANT, TenantId::as_str);
                write!(f, "{PREFIX}.deadletter.{tenant}.{target}")
            }
        }
    }
}

/// Every directory event and every request to verify: what the stream `ROLLCALL_DIRECTORY` holds.
pub fn all_directory() -> Vec<String> {
    vec![format!("{PREFIX}.directory.>"), format!("{PREFIX}.verify.>")]
}

/// Every command: what the stream `ROLLCALL_COMMAND` holds.
pub fn all_commands() -> Vec<String> {
    vec![format!("{PREFIX}.command.>")]
}

/// Every outcome: what the stream `ROLLCALL_OUTCOME` holds.
pub fn all_outcomes() -> Vec<String> {
    vec![format!("{PREFIX}.outcome.>")]
}

/// Every dead letter: what the stream `ROLLCALL_DEADLETTER` holds.
pub fn all_dead_letters() -> Vec<String> {
    vec![format!("{PREFIX}.deadletter.>")]
}

/// A tenant's directory events: what its reconciler listens to.
pub fn directory_events(tenant: &TenantId) -> String {
    format!("{PREFIX}.directory.{tenant}.>")
}

/// A tenant's outcomes: what its reconciler listens to.
pub fn outcomes(tenant: &TenantId) -> String {
    format!("{PREFIX}.outcome.{tenant}.>")
}

/// A request to services of a tenant, over core NATS: `sync`, `pause`, `resume`, ….
pub fn control(tenant: &TenantId, verb: &str) -> String {
    format!("{PREFIX}.control.{tenant}.{}", if plain(verb) { verb.to_owned() } else { part(verb) })
}

/// All requests to services of a tenant.
pub fn all_control(tenant: &TenantId) -> String {
    format!("{PREFIX}.control.{tenant}.*")
}

/// The verb of a request's subject.
pub fn control_verb(subject: &str) -> Option<&str> {
    let (_, verb) = subject.strip_prefix(PREFIX)?.strip_prefix(".control.")?.split_once('.')?;
    plain(verb).then_some(verb)
}

/// A vendor's id as one part of a subject: hexadecimal, so that no dot, star or space of it means anything.
pub fn part(vendor_id: &str) -> String {
    hex::encode(vendor_id)
}

/// Reads what [`part`] wrote.
pub fn from_part(part: &str) -> Option<String> {
    String::from_utf8(hex::decode(part).ok()?).ok()
}

fn plain(verb: &str) -> bool {
    !verb.is_empty() && verb.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_subject_reads_back() {
        let tenant = TenantId::new("acme").unwrap();
        let target = DirectoryId::new("cloud-2").unwrap();
        let mut all = vec![
            Subject::Verify { tenant: tenant.clone(), directory: target.clone() },
            Subject::Outcome { tenant: tenant.clone(), target: target.clone() },
            Subject::DeadLetter { tenant: Some(tenant.clone()), target: "cloud-2".to_owned() },
            Subject::DeadLetter { tenant: None, target: "writer-acme-cloud-2-bulk".to_owned() },
        ];
        all.extend(Lane::ALL.map(|lane| Subject::Command { tenant: tenant.clone(), target: target.clone(), lane }));
        all.extend(EventKind::ALL.map(|kind| Subject::Directory {
            tenant: tenant.clone(),
            directory: target.clone(),
            kind,
        }));
        for subject in all {
            let text = subject.to_string();
            assert_eq!(Subject::parse(&text), Some(subject.clone()), "{subject}");
            let (whose, place) = subject.place();
            let parts: Vec<&str> = text.split('.').collect();
            assert_eq!(parts.get(3..5), Some(&[whose, place][..]), "{subject}");
            assert_eq!(subject.template().split('.').count(), parts.len(), "{subject}");
            assert_eq!(subject.template().split('.').nth(2), parts.get(2).copied(), "{subject}");
        }
    }

    #[test]
    fn what_is_not_ours_is_no_subject() {
        for text in [
            "rollcall.v2.verify.acme.cloud",
            "rollcall.v1.command.acme.cloud",
            "rollcall.v1.command.acme.cloud.fast",
            "rollcall.v1.verify.Acme.cloud",
            "rollcall.v1.verify.acme.cloud.more",
            "rollcall.v1.outcome.acme",
            "",
        ] {
            assert_eq!(Subject::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_vendor_id_never_means_anything_in_a_subject() {
        let id = "a.b*>c d/ü";
        assert!(part(id).bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(from_part(&part(id)).as_deref(), Some(id));
        assert_eq!(from_part("zz"), None);
    }

    #[test]
    fn a_control_verb_reads_back() {
        let tenant = TenantId::new("acme").unwrap();
        assert_eq!(control_verb(&control(&tenant, "sync")), Some("sync"));
        assert_eq!(control_verb("rollcall.v1.control.acme"), None);
    }
}
