-- What stays held remembers which guard holds it: a budget of the whole plan until the next sweep, a source that shrank
-- or a group that would become empty until a person approves.
alter table plan.plan_hold add column guard text collate "C" not null default 'per-plan-removals';
update plan.plan_hold set guard = 'per-plan-additions' where op = 'add';
alter table plan.plan_hold drop constraint plan_hold_pkey;
alter table plan.plan_hold add primary key (tenant, target, name, op, guard);
