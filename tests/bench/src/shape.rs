//! How real directories are made: how large groups are, how many contain others and how deep, whose the memberships are.
//!
//! The shares are those of `shape.json` in the shared data, pooled from the directories of several real organizations;
//! they stand here in short, because where we are built that file may not be.

use std::collections::BTreeSet;

/// Of 10,000 groups: how many are so many levels above groups that contain none, beginning with one level.
const LEVELS: [usize; 5] = [1_299, 227, 14, 21, 7];
const LEVELS_OF: usize = 10_000;
/// Of 101 groups that contain others: how many contain so many.
const CHILDREN: [(usize, usize); 9] = [(76, 1), (14, 2), (5, 3), (1, 4), (1, 5), (1, 6), (1, 10), (1, 20), (1, 77)];
const CHILDREN_OF: usize = 101;
/// Of groups in the order of their own people: the one with so many four-hundredths before it has so many times the
/// mean, in ten-thousandths. The largest has 156 times the mean, and half of all groups less than half of it.
const SIZES: [(usize, usize); 25] = [
    (0, 0),
    (20, 1_221),
    (40, 1_647),
    (60, 1_740),
    (80, 2_443),
    (100, 2_811),
    (120, 3_480),
    (160, 3_664),
    (180, 4_886),
    (200, 4_886),
    (240, 6_107),
    (260, 6_107),
    (280, 6_960),
    (300, 7_328),
    (320, 8_550),
    (340, 9_771),
    (360, 12_214),
    (380, 19_542),
    (390, 35_421),
    (394, 59_161),
    (396, 97_158),
    (397, 133_982),
    (398, 193_935),
    (399, 1_397_279),
    (400, 1_558_504),
];
const SIZES_OF: usize = 400;
const SIZE_UNIT: usize = 10_000;
/// Of a hundred memberships so many are of the busy tenth of the people alone, which has its share of the others too: 56
/// in all.
const OF_THE_BUSY: usize = 51;

/// A stream of numbers that is the same in every run.
#[derive(Debug)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }
}

/// Where each level of so many groups begins: groups that contain none come first, and a group contains groups of lower
/// levels only, at least one of the next lower. So the deepest stand below five others, and there is no cycle.
pub(crate) fn levels(groups: usize) -> Vec<usize> {
    let above: Vec<usize> = LEVELS.iter().map(|share| share * groups / LEVELS_OF).collect();
    let mut begins = vec![0, groups.saturating_sub(above.iter().sum())];
    for count in above.iter().take(LEVELS.len() - 1) {
        begins.push(begins.last().copied().unwrap_or(0) + count);
    }
    begins
}

/// Which groups each of so many contains itself, as sorted numbers.
pub(crate) fn nesting(groups: usize, numbers: &mut Numbers) -> Vec<Vec<usize>> {
    let begins = levels(groups);
    let of = |group: usize, numbers: &mut Numbers| {
        let level = begins.iter().rposition(|begin| *begin <= group).unwrap_or(0);
        let (Some(own), Some(below)) = (begins.get(level), level.checked_sub(1).and_then(|at| begins.get(at))) else {
            return Vec::new();
        };
        let mut children = BTreeSet::from([below + numbers.below(own - below)]);
        let count = children_at(numbers.below(CHILDREN_OF)).min(*own);
        while children.len() < count {
            children.insert(numbers.below(*own));
        }
        children.into_iter().collect()
    };
    (0..groups).map(|group| of(group, numbers)).collect()
}

fn children_at(mut at: usize) -> usize {
    for (share, count) in CHILDREN {
        if at < share {
            return count;
        }
        at -= share;
    }
    1
}

/// How many people the n-th of so many groups has of its own, where a group has so many in the mean.
pub(crate) fn size(group: usize, groups: usize, mean: usize) -> usize {
    // Neighbours are of unlike sizes, so that every level has small ones and large ones.
    let rank = group * 7_919 % groups.max(1);
    let (at, of) = (rank * SIZES_OF, groups.max(1));
    let after = SIZES.iter().position(|(quantile, _)| quantile * of > at).unwrap_or(SIZES.len() - 1);
    let (Some(low), Some(high)) = (after.checked_sub(1).and_then(|before| SIZES.get(before)), SIZES.get(after)) else {
        return 0;
    };
    let share = low.1 + (high.1 - low.1) * (at - low.0 * of) / ((high.0 - low.0) * of);
    share * mean / SIZE_UNIT
}

/// So many of so many people, as sorted numbers: a tenth of the people is in most groups.
pub(crate) fn people(size: usize, users: usize, numbers: &mut Numbers) -> BTreeSet<u32> {
    let mut chosen = BTreeSet::new();
    // More than everybody of the busy tenth and half of the others are never asked for.
    while chosen.len() < size.min(users / 2) {
        let busy = numbers.below(100) < OF_THE_BUSY;
        let user = if busy { numbers.below(users / 10) * 10 } else { numbers.below(users) };
        chosen.extend(u32::try_from(user));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_contain_lower_ones_five_deep_and_as_many_as_in_real_directories() {
        let nesting = nesting(10_000, &mut Numbers(1));
        let mut depth: Vec<usize> = Vec::new();
        for (group, children) in nesting.iter().enumerate() {
            assert!(children.iter().all(|child| *child < group));
            let below = children.iter().filter_map(|child| depth.get(*child)).max();
            depth.push(below.map_or(0, |below| below + 1));
        }
        let count = |level: usize| depth.iter().filter(|depth| **depth == level).count();
        assert_eq!((1..=6).map(count).collect::<Vec<_>>(), [1_299, 227, 14, 21, 7, 0]);
        let edges: usize = nesting.iter().map(Vec::len).sum();
        assert!((3_000..5_000).contains(&edges), "{edges}");
    }

    #[test]
    fn most_groups_are_small_and_a_few_are_large() {
        let sizes: Vec<usize> = (0..10_000).map(|group| size(group, 10_000, 100)).collect();
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((80..140).contains(&mean), "{mean}");
        assert!(sizes.iter().filter(|size| **size < 100).count() > 8_000);
        assert!(sizes.iter().filter(|size| **size > 10_000).count() > 10);
        assert!(sizes.iter().max().is_some_and(|largest| (15_000..15_586).contains(largest)));
    }

    #[test]
    fn a_tenth_of_the_people_has_most_memberships() {
        let people = people(1_000, 100_000, &mut Numbers(3));
        let busy = people.iter().filter(|user| **user % 10 == 0).count();
        assert!(people.len() == 1_000 && (500..700).contains(&busy), "{busy}");
    }
}
