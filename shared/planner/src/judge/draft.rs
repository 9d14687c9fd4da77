//! Cases while they are judged: steps with what guards have to know of them and output does not show.

use std::collections::BTreeSet;

use model::{Case, CaseKind, Digest, DirectoryId, EdgeOp, Fact, GuardName, GuardVerdict, Held, Lane, Step};

use crate::Verdict;

/// So many questions are asked at once about a case that is held anyway.
const MOST_QUESTIONS: usize = 100;

/// A case in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: CaseKind,
    pub(crate) steps: Vec<Step>,
    pub(crate) lane: Lane,
    pub(crate) guards: Vec<GuardVerdict>,
    pub(crate) held: Vec<Held>,
    /// Lost facts that are not proven yet, and those of them that somebody can be asked about now.
    pub(crate) needs: BTreeSet<Fact>,
    pub(crate) ask: BTreeSet<Fact>,
    /// The folded name of the group.
    pub(crate) key: String,
    /// Removals that budgets count: none of a leaver's.
    pub(crate) removals: u64,
    /// Additions that budgets count: none of a first import.
    pub(crate) additions: u64,
    /// Sources that its groups are filled from, as indices of mirrors.
    pub(crate) sources: BTreeSet<usize>,
    /// What a person said to it.
    pub(crate) verdict: Option<Verdict>,
    /// Held whatever a person says.
    pub(crate) absolute: bool,
    digest: Digest,
}

impl Draft {
    pub(crate) fn new(kind: CaseKind, key: &str, lane: Lane) -> Self {
        Self {
            kind,
            steps: Vec::new(),
            lane,
            guards: Vec::new(),
            held: Vec::new(),
            needs: BTreeSet::new(),
            ask: BTreeSet::new(),
            key: key.to_owned(),
            removals: 0,
            additions: 0,
            sources: BTreeSet::new(),
            verdict: None,
            absolute: false,
            digest: Digest([0; 32]),
        }
    }

    /// Puts the steps into their order and fixes what an approval binds to.
    pub(crate) fn seal(&mut self, target: &DirectoryId) {
        self.steps.sort_by(|a, b| place(a).cmp(&place(b)));
        self.digest = Case::digest_of(target, &self.kind, &self.steps);
    }

    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }

    /// Notes what a guard found; holds the case if it is more than allowed.
    pub(crate) fn measure(&mut self, guard: GuardName, found: u64, limit: u64, what: &[&str]) {
        self.guards.push(GuardVerdict { guard, found, limit });
        if found > limit {
            self.hold(guard, format!("{found} {}, {limit} allowed", what.concat()));
        }
    }

    pub(crate) fn hold(&mut self, guard: GuardName, reason: String) {
        self.held.push(Held { guard, reason });
    }

    /// Whether budgets over several cases count it: it is not held already, and nobody has approved it.
    pub(crate) fn counts(&self) -> bool {
        self.held.is_empty() && self.verdict != Some(Verdict::Approved)
    }

    pub(crate) fn count(&self, op: EdgeOp) -> u64 {
        let is = |step: &&Step| matches!(step, Step::Edge { edge, .. } if edge.op == op);
        self.steps.iter().filter(is).count() as u64
    }

    /// The finished case. What a person approved is no longer held, and goes after the small and the urgent.
    pub(crate) fn finish(mut self) -> Case {
        self.guards.sort();
        self.held.sort();
        self.held.dedup();
        match self.verdict {
            Some(Verdict::Approved) if !self.absolute => {
                if !self.held.is_empty() && self.lane == Lane::Urgent && !matches!(self.kind, CaseKind::Leaver { .. }) {
                    self.lane = Lane::Normal;
                }
                self.held.clear();
            }
            Some(Verdict::Rejected) => {
                let guard = self.held.first().map_or(GuardName::Conflict, |held| held.guard);
                self.held.push(Held { guard, reason: "a person rejected it".to_owned() });
            }
            _ => {}
        }
        Case {
            digest: self.digest,
            kind: self.kind,
            lane: self.lane,
            steps: self.steps,
            guards: self.guards,
            held: self.held,
            needs: self.needs.into_iter().collect(),
        }
    }

    /// What is to be asked now. Of a large case that a person has to release first, one fact of each group suffices: if
    /// it holds after all the whole read is void and the case with it, and nobody has asked ten thousand questions.
    pub(crate) fn questions(&self) -> Vec<Fact> {
        let waits = !self.held.is_empty() && self.verdict != Some(Verdict::Approved);
        if !waits || self.ask.len() <= MOST_QUESTIONS {
            return self.ask.iter().cloned().collect();
        }
        let mut asked = BTreeSet::new();
        let holder = |fact: &Fact| match fact {
            Fact::Member { directory, group, .. } | Fact::Nested { directory, group, .. } => {
                (directory.clone(), Some(group.clone()))
            }
            Fact::User { directory, .. } | Fact::Group { directory, .. } => (directory.clone(), None),
        };
        self.ask.iter().filter(|fact| asked.insert(holder(fact))).cloned().collect()
    }
}

/// The canonical order of cases. Drafts are large, so their places are sorted and each is moved once.
pub(super) fn sorted(drafts: Vec<Draft>) -> Vec<Draft> {
    let mut order: Vec<usize> = (0..drafts.len()).collect();
    order.sort_by(|a, b| {
        let input = |at: &usize| drafts.get(*at).map(|draft| (&draft.kind, &draft.steps));
        input(a).cmp(&input(b))
    });
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| drafts.get_mut(at)?.take()).collect()
}

/// The order of steps: what makes a group, removals, additions, accounts, what a group gives, what
/// deletes a group.
fn place(step: &Step) -> (u8, &Step) {
    let rank = match step {
        Step::CreateGroup { .. } => 0,
        Step::Edge { edge, .. } if edge.op == EdgeOp::Remove => 1,
        Step::Edge { .. } => 2,
        Step::Account { .. } => 3,
        Step::GrantAccess { .. } => 4,
        Step::DeleteGroup { .. } => 5,
    };
    (rank, step)
}
