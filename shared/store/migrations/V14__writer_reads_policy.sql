-- A writer serves the targets of the policy that is in force: one that is new from then on, one that is gone no longer.
grant select on plan.policy to rollcall_writer;
