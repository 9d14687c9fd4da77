-- A request to synchronize is a row before it is a message: one that nobody hears is taken up by the next reconciler.
create table console.sync_request (
    id     bigint generated always as identity primary key,
    tenant text collate "C" not null,
    actor  text not null,
    at     bigint not null
);
create index sync_request_newest on console.sync_request (tenant, id);

-- The newest request that was taken up, and until when it (or a strike of the schedule) lets new decisions go.
create table plan.sync_taken (
    tenant   text collate "C" primary key,
    request  bigint not null,
    until_at bigint not null
);

grant select on console.sync_request to rollcall_reconciler, rollcall_console;
grant insert on console.sync_request to rollcall_console;
grant select, insert, update, delete on plan.sync_taken to rollcall_reconciler;
grant select on plan.sync_taken to rollcall_console;

-- A watcher goes by the policy that is in force, not by a file that waits for a person.
grant select on plan.policy to rollcall_watcher;
