//! Reading Google Workspace: users, groups, members.
