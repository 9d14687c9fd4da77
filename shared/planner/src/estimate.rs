//! About how many API calls a target's part of a plan takes.

use std::collections::BTreeMap;

use model::{DirectoryKind, EdgeOp, GroupId, Step, TargetPlan};
use policy::Policy;

/// SCIM takes this many members of a group in one call; a look-up by name takes this many names.
const BATCH: u64 = 100;

/// A list of customers takes this many people in one call, in one direction.
const CUSTOMERS: u64 = 50;

/// The calls of everything that is in a case, held or not; reads and retries are not counted.
///
/// One call for each membership; with SCIM one for each hundred memberships of a group, with a list of customers one for
/// each fifty people who come or go. One call for each group that
/// is made, and one look-up for each hundred of those to learn their ids. One call for each account.
pub(crate) fn calls(policy: &Policy, plan: &TargetPlan) -> u64 {
    let kind = policy.directories.get(&plan.target).map(|directory| directory.kind);
    let batch = match kind {
        Some(DirectoryKind::AtlassianScim) => BATCH,
        Some(DirectoryKind::JsmCustomers) => CUSTOMERS,
        _ => 1,
    };
    let mut edges: BTreeMap<(Option<&GroupId>, &str, Option<EdgeOp>), u64> = BTreeMap::new();
    let (mut made, mut single) = (0_u64, 0_u64);
    for step in plan.cases.iter().flat_map(|case| &case.steps) {
        match step {
            Step::Edge { edge, .. } if batch > 1 => {
                let direction = (batch == CUSTOMERS).then_some(edge.op);
                *edges.entry((edge.group.as_ref(), edge.group_name.as_str(), direction)).or_default() += 1;
            }
            Step::CreateGroup { .. } => made += 1,
            Step::Edge { .. } | Step::DeleteGroup { .. } | Step::GrantAccess { .. } | Step::Account { .. } => {
                single += 1;
            }
        }
    }
    let batches: u64 = edges.values().map(|count| count.div_ceil(batch)).sum();
    batches + made + made.div_ceil(BATCH) + single
}
