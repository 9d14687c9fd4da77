//! Directories that one run could not read: each is told, nothing is decided about it, and the others go on.

use std::collections::{BTreeMap, BTreeSet};

use model::DirectoryId;
use planner::{Decision, Memory};
use policy::Policy;
use runtime::{Exit, Fault};
use serde_json::{Value, json};

use crate::show;

/// What could not be read, and which targets nothing is done at for it.
#[derive(Debug, Default)]
pub struct Aside {
    faults: BTreeMap<DirectoryId, Fault>,
    targets: BTreeSet<DirectoryId>,
}

impl Aside {
    /// Puts a directory aside. `known`: an earlier run read it, so that what it fills can be told from what it does not.
    /// One that was never read leaves its targets without a source nobody knows the extent of: these are left alone.
    pub fn put(&mut self, policy: &Policy, id: &DirectoryId, fault: Fault, known: bool) {
        self.targets.insert(id.clone());
        if !known {
            let rules = policy.rules.iter().filter(|rule| &rule.from == id).flat_map(|rule| &rule.to);
            let entries = policy.provisions.iter().filter(|entry| &entry.from == id).map(|entry| &entry.to);
            self.targets.extend(rules.chain(entries).cloned());
        }
        self.note(id, fault);
    }

    /// Notes trouble with a directory that was read all the same: its first is the one that is told.
    pub fn note(&mut self, id: &DirectoryId, fault: Fault) {
        self.faults.entry(id.clone()).or_insert(fault);
    }

    /// Whether anything could not be read there.
    pub fn has(&self, id: &DirectoryId) -> bool {
        self.faults.contains_key(id)
    }

    /// Says what could not be read and what to do. To be called once, when the run is over.
    pub fn tell(&self) {
        self.faults.values().for_each(|fault| show::note(&fault.to_string()));
    }

    /// The same for programs; `None`: everything was read.
    pub fn document(&self) -> Option<Value> {
        let one = |(id, fault): (&DirectoryId, &Fault)| json!({ "directory": id, "code": fault.code, "message": fault.message, "help": fault.help });
        (!self.faults.is_empty()).then(|| self.faults.iter().map(one).collect())
    }

    /// How a run ends that did everything else: credentials need somebody, what may pass needs another try. `None`:
    /// everything was read.
    pub fn exit(&self) -> Option<Exit> {
        // `Error` stands before `TryLater`.
        self.faults.values().map(|fault| fault.exit).min()
    }

    /// An error when none of these sources could be read: nothing can be decided.
    ///
    /// # Errors
    /// The fault of one of them.
    pub fn leaves_a_source(&self, sources: &[DirectoryId]) -> Result<(), Fault> {
        self.leaves_one(sources, |id| self.faults.contains_key(id))
    }

    /// An error when there is none of these targets at which anything may be done.
    ///
    /// # Errors
    /// The fault that keeps us from it.
    pub fn leaves_a_target(&self, targets: &[DirectoryId]) -> Result<(), Fault> {
        self.leaves_one(targets, |id| self.targets.contains(id))
    }

    fn leaves_one(&self, ids: &[DirectoryId], is_out: impl Fn(&DirectoryId) -> bool) -> Result<(), Fault> {
        let own = ids.iter().filter_map(|id| self.faults.get(id)).min_by_key(|fault| fault.exit);
        let worst = own.or_else(|| self.faults.values().min_by_key(|fault| fault.exit));
        match worst {
            Some(fault) if !ids.is_empty() && ids.iter().all(is_out) => Err(fault.clone()),
            _ => Ok(()),
        }
    }

    /// Takes what a decision says about targets that are aside out of it; what was remembered of them stays.
    pub fn leave_out(&self, decision: &mut Decision, memory: &Memory) {
        if self.targets.is_empty() {
            return;
        }
        for plan in decision.plan.body.targets.iter_mut().filter(|plan| self.targets.contains(&plan.target)) {
            plan.cases.clear();
            plan.links.clear();
            plan.seats.clear();
            plan.refusals.clear();
        }
        decision.plan.body.targets.retain(|plan| !self.targets.contains(&plan.target) || !plan.waits.is_empty());
        decision.plan.calls.retain(|target, _| !self.targets.contains(target));
        decision.sources.retain(|(target, _), _| !self.targets.contains(target));
        decision.plan_holds.retain(|hold| !self.targets.contains(&hold.target));
        decision
            .plan_holds
            .extend(memory.plan_holds.iter().filter(|hold| self.targets.contains(&hold.target)).cloned());
        decision.leaving.retain(|(target, ..), _| !self.targets.contains(target));
        let kept = memory.leaving.iter().filter(|((target, ..), _)| self.targets.contains(target));
        decision.leaving.extend(kept.map(|(key, since)| (key.clone(), *since)));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const POLICY: &str = "tenant = \"t\"\n[directory.google]\nkind = \"google-workspace\"\nservice_account = \"env:K\"\n\
        subject = \"a@b.c\"\n[directory.other]\nkind = \"google-workspace\"\nservice_account = \"env:K\"\n\
        subject = \"a@b.c\"\n[directory.cloud]\nkind = \"atlassian-org\"\norg = \"o\"\ndirectory = \"d\"\n\
        api_key = \"env:K\"\n[directory.wiki]\nkind = \"confluence-dc\"\nurl = \"https://w.b.c\"\ntoken = \"env:K\"\n\
        [[sync]]\nname = \"a\"\nfrom = \"google\"\nto = [\"cloud\", \"wiki\"]\ngroups = [\"*\"]\n\
        [[sync]]\nname = \"b\"\nfrom = \"other\"\nto = \"cloud\"\ninto = \"all\"\ngroups = [\"*\"]\n";

    fn id(text: &str) -> DirectoryId {
        DirectoryId::new(text).unwrap()
    }

    fn fault(exit: Exit) -> Fault {
        Fault::new("E0119", exit, "gone")
    }

    #[test]
    fn a_source_that_was_never_read_leaves_its_targets_alone_and_a_known_one_does_not() {
        let policy = Policy::parse(POLICY).unwrap();
        let mut aside = Aside::default();
        aside.put(&policy, &id("other"), fault(Exit::TryLater), false);
        assert_eq!(aside.targets, [id("cloud"), id("other")].into());
        let mut aside = Aside::default();
        aside.put(&policy, &id("other"), fault(Exit::TryLater), true);
        assert_eq!(aside.targets, [id("other")].into());
    }

    #[test]
    fn a_run_ends_at_once_only_when_nothing_is_left_and_credentials_speak_first() {
        let policy = Policy::parse(POLICY).unwrap();
        let (sources, targets) = ([id("google"), id("other")], [id("cloud"), id("wiki")]);
        let mut aside = Aside::default();
        assert!(aside.leaves_a_source(&sources).is_ok() && aside.leaves_a_target(&targets).is_ok());
        assert!(aside.exit().is_none());
        aside.put(&policy, &id("wiki"), fault(Exit::TryLater), false);
        assert!(aside.leaves_a_target(&targets).is_ok() && aside.leaves_a_source(&[]).is_ok());
        assert_eq!(aside.exit(), Some(Exit::TryLater));
        aside.put(&policy, &id("cloud"), fault(Exit::Error), false);
        assert_eq!(aside.leaves_a_target(&targets).unwrap_err().exit, Exit::Error);
        assert_eq!(aside.exit(), Some(Exit::Error));
        for source in &sources {
            assert!(aside.leaves_a_source(&sources).is_ok());
            aside.put(&policy, source, fault(Exit::TryLater), true);
        }
        assert_eq!(aside.leaves_a_source(&sources).unwrap_err().exit, Exit::TryLater);
    }
}
