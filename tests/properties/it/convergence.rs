//! A plan that was carried out leaves nothing to plan.

use model::Canonical as _;
use planner::Memory;
use proptest::prelude::*;

use crate::world::{Target, account, any_source, any_target, decide};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn i10_what_was_planned_and_done_leaves_nothing_to_plan(source in any_source(), holdings in any_target()) {
        let mut target = Target::new(&holdings);
        let mut memory = Memory::default();
        let (reading, before) = (source.reading(1), target.reading(1));
        let decision = decide(&reading, &before, &memory);
        target.carry_out(&decision.plan);
        memory.learn(&decision);
        for (name, wanted) in source.flat().iter().enumerate().map(|(n, people)| (format!("g{n}"), people)) {
            let (_, members) = &target.groups[&name];
            let wanted: std::collections::BTreeSet<_> = wanted.iter().map(|n| account(*n)).collect();
            prop_assert_eq!(members, &wanted, "group {}", name);
        }
        let again = decide(&reading, &target.reading(2), &memory);
        let left: Vec<_> = again.plan.cases().flat_map(|(_, case)| case.steps.clone()).collect();
        prop_assert!(left.is_empty(), "left to do: {:?}", left);
    }

    #[test]
    fn deciding_twice_gives_the_same_bytes(source in any_source(), holdings in any_target()) {
        let target = Target::new(&holdings);
        let decide = || decide(&source.reading(1), &target.reading(1), &Memory::default()).plan.body.canonical_bytes();
        prop_assert_eq!(decide(), decide());
    }
}
