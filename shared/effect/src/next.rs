//! What to do with an answer: a synchronous decision over values.

use model::{Disposition, Rejection, Span, StepResult};

/// How patient a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries of one call at most, the first included, before what is unfinished goes back to the reconciler. Throttled
    /// tries do not count.
    pub tries: u32,
    /// First wait before another try; doubles, with full jitter.
    pub wait: Span,
    /// Longest wait between tries.
    pub wait_max: Span,
    /// How long a command, or what is left of it, may wait for its turn before it is settled *not tried*.
    pub turn: Span,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 5, wait: Span::from_millis(250), wait_max: Span::from_secs(8), turn: Span::from_secs(30) }
    }
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is over.
    Settle(StepResult),
    /// Again, after at most this long (the wait is jittered below it); the vendor's own wait is kept in full.
    Again {
        /// Longest wait.
        after: Span,
        /// Shortest wait: what the vendor asked for.
        at_least: Span,
    },
    /// Read the state and decide by it.
    Look,
    /// The credentials are gone: stop the target.
    Halt,
}

/// What to do after the `tried`-th try (from 1) of a call came to this.
///
/// `repeatable`: repeating what may have happened is harmless (adding twice is adding); a creation or a deactivation is
/// read before it is repeated.
pub fn next(disposition: Disposition, tried: u32, repeatable: bool, patience: &Patience) -> Next {
    let exhausted = tried >= patience.tries;
    let doubled = patience.wait.0.saturating_mul(1_u64.checked_shl(tried.saturating_sub(1)).unwrap_or(u64::MAX));
    let after = Span(doubled.min(patience.wait_max.0));
    match disposition {
        Disposition::Done => Next::Settle(StepResult::Done),
        Disposition::AlreadySo => Next::Settle(StepResult::AlreadySo),
        Disposition::Reject(class) => Next::Settle(StepResult::Rejected(class)),
        Disposition::Halt => Next::Halt,
        // The budget has already paused everybody for as long as the vendor asked.
        Disposition::Throttled { .. } => Next::Again { after: Span::ZERO, at_least: Span::ZERO },
        Disposition::Retry { .. } if exhausted => Next::Settle(StepResult::NotTried),
        Disposition::Retry { after: asked } => Next::Again { after, at_least: asked.unwrap_or(Span::ZERO) },
        Disposition::Unknown if exhausted => Next::Settle(StepResult::Unknown),
        Disposition::Unknown if repeatable => Next::Again { after, at_least: Span::ZERO },
        Disposition::Unknown | Disposition::Look => Next::Look,
    }
}

/// What a look after an unclear answer means for a membership.
pub(crate) fn seen_member(look: &atlassian_write::Look, op: model::EdgeOp) -> Option<StepResult> {
    use atlassian_write::Look;
    use model::EdgeOp::{Add, Remove};
    match (look, op) {
        // Who does not exist is no member.
        (Look::There, Add) | (Look::NotThere | Look::NoAccount, Remove) => Some(StepResult::AlreadySo),
        // It is as before although it was refused in words that we do not know.
        (Look::There, Remove) | (Look::NotThere, Add) => Some(StepResult::Rejected(Rejection::Validation)),
        (Look::NoGroup, _) => Some(StepResult::Rejected(Rejection::UnknownGroup)),
        (Look::NoAccount, Add) => Some(StepResult::Rejected(Rejection::UnknownUser)),
        (Look::Unreadable(_), _) => None,
    }
}

pub(crate) const fn throttled(disposition: Disposition) -> bool {
    matches!(disposition, Disposition::Throttled { .. })
}

#[cfg(test)]
mod tests {
    use model::EdgeOp;

    use super::*;

    const PATIENCE: Patience = Patience { tries: 3, wait: Span(100), wait_max: Span(150), turn: Span::from_secs(30) };

    #[test]
    fn throttling_is_never_the_end() {
        for tried in [1, 3, 1_000] {
            let next = next(Disposition::Throttled { after: None }, tried, false, &PATIENCE);
            assert!(matches!(next, Next::Again { .. }), "after {tried} tries: {next:?}");
        }
    }

    #[test]
    fn what_may_have_happened_is_repeated_only_where_that_is_harmless() {
        assert!(matches!(next(Disposition::Unknown, 1, true, &PATIENCE), Next::Again { .. }));
        assert_eq!(next(Disposition::Unknown, 1, false, &PATIENCE), Next::Look);
        assert_eq!(next(Disposition::Unknown, 3, true, &PATIENCE), Next::Settle(StepResult::Unknown));
    }

    #[test]
    fn waits_double_up_to_a_limit_and_respect_the_vendor() {
        let after = |tried| next(Disposition::Retry { after: Some(Span(70)) }, tried, true, &PATIENCE);
        assert_eq!(after(1), Next::Again { after: Span(100), at_least: Span(70) });
        assert_eq!(after(2), Next::Again { after: Span(150), at_least: Span(70) });
        assert_eq!(after(3), Next::Settle(StepResult::NotTried));
    }

    #[test]
    fn state_decides_where_words_do_not() {
        use atlassian_write::Look;
        assert_eq!(seen_member(&Look::There, EdgeOp::Add), Some(StepResult::AlreadySo));
        assert_eq!(seen_member(&Look::NotThere, EdgeOp::Remove), Some(StepResult::AlreadySo));
        assert_eq!(seen_member(&Look::NoAccount, EdgeOp::Remove), Some(StepResult::AlreadySo));
        assert_eq!(seen_member(&Look::NoAccount, EdgeOp::Add), Some(StepResult::Rejected(Rejection::UnknownUser)));
        assert_eq!(seen_member(&Look::NoGroup, EdgeOp::Remove), Some(StepResult::Rejected(Rejection::UnknownGroup)));
    }
}
