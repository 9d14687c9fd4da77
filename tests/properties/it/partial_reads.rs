//! Nobody is removed on the word of a read that was not complete.

use model::{EdgeOp, MembersRead};
use planner::Memory;
use proptest::prelude::*;

use crate::world::{Target, any_source, any_target, decide, id};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn i02_a_source_that_was_read_in_part_removes_nobody_below_it(
        source in any_source(),
        holdings in any_target(),
        broken in 0..5_usize,
    ) {
        let mut reading = source.reading(1);
        for read in &mut reading.members {
            if read.group == id(broken) {
                *read = MembersRead { seen: Vec::new(), complete: false, ..read.clone() };
            }
        }
        let decision = decide(&reading, &Target::new(&holdings).reading(1), &Memory::default());
        // Whoever nests the broken group, at any depth, does not know either.
        let mut unknown = std::collections::BTreeSet::from([broken]);
        loop {
            let more: Vec<usize> = (0..source.nested.len())
                .filter(|group| !unknown.contains(group) && source.nested[*group].iter().any(|below| unknown.contains(below)))
                .collect();
            if more.is_empty() {
                break;
            }
            unknown.extend(more);
        }
        for (_, case) in decision.plan.cases() {
            for edge in case.edges().filter(|edge| edge.op == EdgeOp::Remove) {
                let of = unknown.iter().any(|group| edge.group_name == format!("g{group}"));
                prop_assert!(!of || !case.is_released(), "removed from {}", edge.group_name);
            }
        }
    }
}
