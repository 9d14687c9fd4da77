-- When each version of a directory was read: how old the oldest change is that no decision knows yet.
create table directory.commit (
    dir     integer not null references directory.directory (key),
    version bigint not null,
    at      bigint not null,
    primary key (dir, version)
);
create index commit_at on directory.commit (at);

grant select, insert, update, delete on directory.commit to rollcall_watcher;
grant select on directory.commit to rollcall_reconciler, rollcall_console;

-- When the oldest change that a command is made of was detected; where a person let it go, when that was.
alter table plan.command add column detected_at bigint;

-- The trace in which a case came to be held: what goes after an approval is linked to it.
alter table plan.case_held add column traceparent text;
