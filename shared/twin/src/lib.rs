//! Google and Atlassian played faithfully: state, routes, quotas, lag, faults.
