//! The nouns: ids, email, users, groups, memberships, plans, commands, outcomes.
