-- What the reconciler decided, and what it remembers.

create table plan.policy (
    tenant    text collate "C" not null,
    hash      bytea not null,
    body      text not null,
    loaded_at bigint not null,
    -- loaded, held (would stop managing too much), refused.
    state     text not null,
    note      text not null default '',
    primary key (tenant, hash)
);

create table plan.person_link (
    tenant    text collate "C" not null,
    source    text collate "C" not null,
    person    text collate "C" not null,
    target    text collate "C" not null,
    account   text collate "C" not null,
    behind    text collate "C",
    how       text not null,
    linked_at bigint not null,
    primary key (tenant, source, person, target)
);
create index person_link_account on plan.person_link (tenant, target, account);

create table plan.pin (
    tenant     text collate "C" not null,
    target     text collate "C" not null,
    name       text collate "C" not null,
    group_id   text collate "C" not null,
    how        text not null,
    equal_once boolean not null,
    -- The one source group that fills it, if it is one.
    source       text collate "C",
    source_group text collate "C",
    pinned_at  bigint not null,
    primary key (tenant, target, name)
);

-- What the last decision after a sweep holds for the budget of the whole plan.
create table plan.plan_hold (
    tenant text collate "C" not null,
    target text collate "C" not null,
    name   text collate "C" not null,
    op     text collate "C" not null,
    primary key (tenant, target, name, op)
);

-- Since when a leaver's account waits for the end of its grace.
create table plan.leaving (
    tenant   text collate "C" not null,
    target   text collate "C" not null,
    source   text collate "C" not null,
    person   text collate "C" not null,
    since_at bigint not null,
    primary key (tenant, target, source, person)
);

-- Memberships that we added.
create table plan.managed_edge (
    tenant   text collate "C" not null,
    target   text collate "C" not null,
    group_id text collate "C" not null,
    account  text collate "C" not null,
    added_at bigint not null,
    primary key (tenant, target, group_id, account)
);

-- What a writer confirmed: laid over the mirror until a read that began after it and the target's lag.
create table plan.confirmed_edge (
    tenant       text collate "C" not null,
    target       text collate "C" not null,
    group_id     text collate "C" not null,
    account      text collate "C" not null,
    present      boolean not null,
    confirmed_at bigint not null,
    primary key (tenant, target, group_id, account)
);

create table plan.plan (
    tenant  text collate "C" not null,
    number  bigint not null,
    made_at bigint not null,
    policy  bytea not null,
    digest  bytea not null,
    -- The JSON of `model::Plan`.
    body    bytea not null,
    summary text not null,
    primary key (tenant, number)
);

create table plan.command (
    id          uuid primary key,
    tenant      text collate "C" not null,
    target      text collate "C" not null,
    lane        text collate "C" not null,
    object      text collate "C" not null,
    generation  bigint not null,
    plan        bigint not null,
    -- The canonical bytes of `model::Command`, and their digest.
    body        bytea not null,
    digest      bytea not null,
    traceparent text,
    created_at  bigint not null,
    settled_at  bigint
);
-- One open command per object in a lane: what changes meanwhile is decided afresh when the outcome arrives.
create unique index command_open on plan.command (tenant, target, lane, object) where settled_at is null;
create index command_settled on plan.command (tenant, settled_at) where settled_at is not null;

-- Edges that were released and have no outcome yet, in a command or waiting for their turn.
create table plan.released_edge (
    tenant      text collate "C" not null,
    target      text collate "C" not null,
    group_id    text collate "C" not null,
    account     text collate "C" not null,
    op          text collate "C" not null,
    lane        text collate "C" not null,
    revocation  boolean not null,
    plan        bigint not null,
    command     uuid,
    released_at bigint not null,
    primary key (tenant, target, group_id, account)
);
create index released_edge_command on plan.released_edge (command) where command is not null;

create table plan.opening (
    tenant  text collate "C" not null,
    target  text collate "C" not null,
    name    text collate "C" not null,
    command uuid not null,
    primary key (tenant, target, name)
);

create table plan.account_open (
    tenant  text collate "C" not null,
    target  text collate "C" not null,
    source  text collate "C" not null,
    person  text collate "C" not null,
    command uuid not null,
    primary key (tenant, target, source, person)
);

-- The newest command of a group, the newest revocation of an account.
create table plan.generation (
    tenant     text collate "C" not null,
    target     text collate "C" not null,
    object     text collate "C" not null,
    generation bigint not null,
    primary key (tenant, target, object)
);

create table plan.case_held (
    tenant     text collate "C" not null,
    digest     bytea not null,
    target     text collate "C" not null,
    kind       text not null,
    -- The JSON of `model::Case`.
    body       bytea not null,
    plan       bigint not null,
    held_at    bigint not null,
    -- held, approved, rejected, released, void.
    state      text not null,
    decided_at bigint,
    decided_by text,
    primary key (tenant, digest)
);
create index case_held_open on plan.case_held (tenant, target) where state in ('held', 'approved', 'rejected');

-- What was released without approval, for the sliding windows.
create table plan.window_entry (
    id      bigint generated always as identity primary key,
    tenant  text collate "C" not null,
    target  text collate "C" not null,
    at      bigint not null,
    -- removals, deactivations.
    kind    text not null,
    count   bigint not null
);
create index window_entry_at on plan.window_entry (tenant, at);

-- How far each directory's versions are part of the newest decision.
create table plan.progress (
    tenant    text collate "C" not null,
    directory text collate "C" not null,
    version   bigint not null,
    primary key (tenant, directory)
);

-- Facts that are to be read by themselves. Answered by a corroboration that was read later than this was asked.
create table plan.need (
    tenant    text collate "C" not null,
    directory text collate "C" not null,
    fact      text collate "C" not null,
    asked_at  bigint not null,
    primary key (tenant, directory, fact)
);

-- Dead letters that a later decision made moot.
create table plan.moot_letter (
    tenant  text collate "C" not null,
    id      bigint not null,
    moot_at bigint not null,
    primary key (tenant, id)
);

-- What the reconciler last said of each directory: wanted and observed digests, in sync or why not. JSON.
create table plan.sync_state (
    tenant    text collate "C" not null,
    directory text collate "C" not null,
    body      text not null,
    at        bigint not null,
    primary key (tenant, directory)
);

create table plan.outbox (like directory.outbox including defaults including identity);
alter table plan.outbox add primary key (id);
create index plan_outbox_waiting on plan.outbox (id) where published_at is null;
create index plan_outbox_unsettled on plan.outbox (settle_key) where settle_key <> '' and settled_at is null;
create index plan_outbox_old on plan.outbox (published_at) where published_at is not null;
