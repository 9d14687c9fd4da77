-- What is left of a target's API budget, as its writer says now and then: for whoever shows it.
create table effect.budget (
    tenant    text collate "C" not null,
    target    text collate "C" not null,
    -- From 0 to 1.
    remaining double precision not null,
    at        bigint not null,
    primary key (tenant, target)
);
grant select, insert, update, delete on effect.budget to rollcall_writer;
grant select on effect.budget to rollcall_reconciler, rollcall_console;
