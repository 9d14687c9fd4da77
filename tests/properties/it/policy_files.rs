//! A policy file that somebody mangled is refused or read, and nothing else.

use policy::Policy;
use proptest::prelude::*;

use crate::world::POLICY;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_mangled_file_never_breaks_the_reader(at in 0..POLICY.len(), length in 0..20_usize, text in "[ -~\n]{0,8}") {
        let mut mangled = POLICY.as_bytes().to_vec();
        let end = (at + length).min(mangled.len());
        mangled.splice(at..end, text.bytes());
        let mangled = String::from_utf8(mangled).unwrap();
        if let Err(problems) = Policy::parse(&mangled) {
            prop_assert!(!problems.is_empty());
            let lines = mangled.lines().count() + 1;
            prop_assert!(problems.iter().all(|problem| problem.line >= 1 && problem.line <= lines));
        }
    }
}
