-- The steps of cases, each kept once: a first import shows the same million steps in plan after plan.
create table plan.case_body (
    tenant text collate "C" not null,
    digest bytea not null,
    -- The JSON of the steps.
    steps  bytea not null,
    primary key (tenant, digest)
);
grant select, insert, update, delete on plan.case_body to rollcall_reconciler;
grant select on plan.case_body to rollcall_console;
