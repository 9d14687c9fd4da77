-- What is old and closed is removed in batches; these find it.
alter table plan.case_body add column plan bigint not null default 0;
comment on column plan.case_body.plan is 'The plan in which the case appeared last anew: it stands in that one and in those after it, until it is gone.';
update plan.case_body b set plan = coalesce((select max(p.number) from plan.plan p where p.tenant = b.tenant), 0);
create index case_body_plan on plan.case_body (tenant, plan);
create index plan_made on plan.plan (tenant, made_at);
create index attempt_began on effect.attempt (began_at);
create index outcome_old on effect.outcome (at);
create index dead_letter_attempt_command on effect.dead_letter_attempt (command);
create index wish_done on directory.wish (done_at) where done_at is not null;
create index corroboration_old on directory.corroboration (read_at) where answer <> 1;
