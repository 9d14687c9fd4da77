-- What watchers saw.

create table directory.directory (
    key         integer generated always as identity primary key,
    tenant      text collate "C" not null,
    directory   text collate "C" not null,
    -- Counts commits. Taken under this row's lock, so whoever sees version n sees every row up to n.
    version     bigint not null default 0,
    -- The vendor's id of the directory, pinned at first sight.
    vendor_id   text collate "C",
    -- Since when it cannot be read; null: it can.
    blind_since bigint,
    -- What a watcher last said about itself, as JSON without personal data.
    health      text not null default '{}',
    unique (tenant, directory)
);

create table directory.user_row (
    dir       integer not null references directory.directory (key),
    id        text collate "C" not null,
    email_key text collate "C",
    listed    boolean not null,
    -- The JSON of `model::User`, as text: JSONB refuses characters that vendors do send.
    body      text collate "C" not null,
    -- When the read began that this row is from: an older read never overwrites it.
    seen_at   bigint not null,
    gone_at   bigint,
    version   bigint not null,
    primary key (dir, id)
);
create index user_row_version on directory.user_row (dir, version);
create index user_row_email on directory.user_row (dir, email_key) where email_key is not null;

create table directory.group_row (
    dir      integer not null references directory.directory (key),
    id       text collate "C" not null,
    body     text collate "C" not null,
    seen_at  bigint not null,
    gone_at  bigint,
    version  bigint not null,
    primary key (dir, id)
);
create index group_row_version on directory.group_row (dir, version);

-- A membership with the interval in which it held, as far as we saw.
create table directory.membership (
    dir      integer not null references directory.directory (key),
    group_id text collate "C" not null,
    -- 0 user, 1 group, 2 everyone, 3 other.
    kind     smallint not null,
    member   text collate "C" not null,
    -- 0 owner, 1 manager, 2 member.
    role     smallint not null,
    since_at bigint not null,
    until_at bigint,
    version  bigint not null
);
create unique index membership_now on directory.membership (dir, group_id, kind, member) where until_at is null;
create index membership_past on directory.membership (dir, group_id, kind, member) where until_at is not null;
create index membership_of on directory.membership (dir, member) where until_at is null;
create index membership_version on directory.membership (dir, version);

-- When a scope was read, and how.
create table directory.scope_read (
    dir               integer not null references directory.directory (key),
    -- 0 list of users, 1 list of groups, 2 members of one group.
    kind              smallint not null,
    group_id          text collate "C" not null default '',
    began_at          bigint not null,
    complete_began_at bigint,
    ended_at          bigint not null,
    complete          boolean not null,
    rows_now          bigint not null,
    rows_before       bigint not null,
    -- Members only: digest of the ids, and of ids, kinds and roles. Null while the rows hold more than one read.
    digest            bytea,
    content           bytea,
    version           bigint not null,
    primary key (dir, kind, group_id)
);
create index scope_read_version on directory.scope_read (dir, version);

-- Facts that were read by themselves.
create table directory.corroboration (
    dir      integer not null references directory.directory (key),
    fact     text collate "C" not null,
    -- 0 gone, 1 holds, 2 no such read exists.
    answer   smallint not null,
    read_at  bigint not null,
    version  bigint not null,
    primary key (dir, fact)
);
create index corroboration_version on directory.corroboration (dir, version);

-- Reads that somebody asked for: hints from the audit log, push channels, people. A hint is a place to look, never a fact.
create table directory.wish (
    id          bigint generated always as identity primary key,
    dir         integer not null references directory.directory (key),
    -- Where to look: a fact's key, `user/…`, `group/…`, `email/…` or `all`.
    place       text collate "C" not null,
    asked_at    bigint not null,
    asked_by    text not null,
    traceparent text,
    -- Not to be looked at before.
    due_at      bigint not null,
    done_at     bigint
);
create unique index wish_open on directory.wish (dir, place) where done_at is null;

-- The accounts that our own credentials belong to: never touched.
create table directory.own_account (
    dir     integer not null references directory.directory (key),
    account text collate "C" not null,
    primary key (dir, account)
);

create table directory.outbox (
    id           bigint generated always as identity primary key,
    -- Whose: tenant/directory.
    topic        text collate "C" not null,
    -- What a settlement names; empty: nothing to wait for once it is published.
    settle_key   text collate "C" not null default '',
    subject      text not null,
    message_id   text not null,
    payload      bytea not null,
    headers      text not null default '{}',
    attempt      integer not null default 1,
    created_at   timestamptz not null default clock_timestamp(),
    claimed_till timestamptz,
    published_at timestamptz,
    settled_at   timestamptz
);
create index directory_outbox_waiting on directory.outbox (topic, id) where published_at is null;
create index directory_outbox_old on directory.outbox (published_at) where published_at is not null;
