//! What a person let go where the schedule alone would not: cases of a plan by their digests, and what follows of them.
//!
//! A group that is made is filled by a case of its own, since its id was not known before. That one goes with the making,
//! for exactly those whom it named.

use std::collections::{BTreeMap, BTreeSet};

use model::{Access, AccountId, Case, CaseKind, Digest, DirectoryId, Step, Time};
use planner::Memory;

/// Let go until some time each: held here and nowhere else, so a reconciler that is replaced has to be asked again.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    cases: BTreeMap<Digest, Time>,
    /// Whom a group that is being made may be filled with: (target, folded name).
    filling: BTreeMap<(DirectoryId, String), (BTreeSet<AccountId>, Time)>,
}

impl Applied {
    /// Lets the cases of these digests go, one on each line.
    pub(crate) fn let_go(&mut self, digests: &str, until: Time) {
        let digests = digests.lines().filter_map(|line| line.trim().parse().ok());
        self.cases.extend(digests.map(|digest| (digest, until)));
    }

    /// Forgets what nobody waits for any more.
    pub(crate) fn expire(&mut self, now: Time) {
        self.cases.retain(|_, until| now < *until);
        self.filling.retain(|_, (_, until)| now < *until);
    }

    /// Whether a case may go, and what follows of it too. `fold`: a name as the target folds it.
    pub(crate) fn goes(
        &mut self,
        target: &DirectoryId,
        case: &Case,
        memory: &Memory,
        fold: impl Fn(&str) -> String,
    ) -> bool {
        let accounts = || case.edges().filter_map(|edge| edge.account.clone()).collect::<BTreeSet<_>>();
        match (self.cases.get(&case.digest), &case.kind) {
            (Some(until), CaseKind::Create { name }) => {
                self.filling.insert((target.clone(), fold(name)), (accounts(), *until));
                true
            }
            (Some(_), _) => true,
            (None, CaseKind::Additions { group, .. }) if !self.filling.is_empty() => {
                let filled =
                    self.filling.iter().find(|(key, _)| memory.pins.get(key).is_some_and(|p| &p.group == group));
                filled.is_some_and(|((of, _), (named, _))| of == target && accounts().is_subset(named))
            }
            // The portal of what was made is part of the making.
            (None, CaseKind::Access { group, .. }) => {
                let is_portal = |step: &Step| matches!(step, Step::GrantAccess { access: Access::Portal { .. }, .. });
                let is_made = |(of, name): &(DirectoryId, String)| {
                    of == target && memory.pins.get(&(of.clone(), name.clone())).is_some_and(|pin| &pin.group == group)
                };
                case.steps.iter().all(is_portal) && self.filling.keys().any(is_made)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use model::{Edge, EdgeOp, GroupId, Lane, Reason, RuleId, Step};

    use super::*;

    fn case(kind: CaseKind, accounts: &[&str]) -> Case {
        let step = |account: &&str| Step::Edge {
            edge: Edge {
                group: None,
                group_name: "eng".to_owned(),
                account: Some(AccountId::new(*account).unwrap()),
                person: None,
                op: EdgeOp::Add,
            },
            reason: Reason::Policy { rule: RuleId::new("teams").unwrap() },
        };
        let steps: Vec<Step> = accounts.iter().map(step).collect();
        let digest = Case::digest_of(&DirectoryId::new("cloud").unwrap(), &kind, &steps);
        Case { digest, kind, lane: Lane::Bulk, steps, guards: Vec::new(), held: Vec::new(), needs: Vec::new() }
    }

    #[test]
    fn a_group_that_is_made_is_filled_with_whom_the_plan_named_and_nobody_else() {
        let (target, group) = (DirectoryId::new("cloud").unwrap(), GroupId::new("g-1").unwrap());
        let made = case(CaseKind::Create { name: "Eng".to_owned() }, &["a", "b"]);
        let filled =
            |accounts: &[&str]| case(CaseKind::Additions { group: group.clone(), name: "Eng".to_owned() }, accounts);
        let mut memory = Memory::default();
        let fold = |name: &str| name.to_ascii_lowercase();
        let mut applied = Applied::default();
        assert!(!applied.goes(&target, &made, &memory, fold), "nobody asked");
        applied.let_go(&format!("{}\nnonsense\n", made.digest), Time(10));
        assert!(applied.goes(&target, &made, &memory, fold));
        assert!(!applied.goes(&target, &filled(&["a"]), &memory, fold), "another group of that name");
        memory.created(&target, "eng", &group);
        assert!(applied.goes(&target, &filled(&["a", "b"]), &memory, fold));
        assert!(!applied.goes(&target, &filled(&["a", "c"]), &memory, fold), "somebody joined meanwhile");
        // The portal of what was made was part of what was shown; a product is decided by itself.
        let opens = |group: &GroupId, access: Access| {
            let (name, rule) = ("Eng".to_owned(), RuleId::new("teams").unwrap());
            let kind = CaseKind::Access { group: group.clone(), name: name.clone() };
            let steps =
                vec![Step::GrantAccess { group: Some(group.clone()), name, access, reason: Reason::Access { rule } }];
            Case { digest: Case::digest_of(&target, &kind, &steps), kind, steps, ..made.clone() }
        };
        let (portal, other) = (Access::Portal { desk: "HELP".to_owned() }, GroupId::new("g-2").unwrap());
        let [product, site, role] =
            ["jira-software", "https://acme.atlassian.net", "atlassian/user"].map(str::to_owned);
        assert!(applied.goes(&target, &opens(&group, portal.clone()), &memory, fold));
        assert!(!applied.goes(&target, &opens(&other, portal), &memory, fold), "of another group");
        assert!(!applied.goes(&target, &opens(&group, Access::Product { product, site, role }), &memory, fold));
        applied.expire(Time(10));
        assert!(!applied.goes(&target, &made, &memory, fold) && !applied.goes(&target, &filled(&["a"]), &memory, fold));
    }
}
