-- What writers tried, and what became of it. Nobody else writes here.

-- Committed before the call. One that has no end is unknown after a crash.
create table effect.attempt (
    id          uuid primary key,
    command     uuid not null,
    tenant      text collate "C" not null,
    target      text collate "C" not null,
    -- The lease under which it was made.
    epoch       bigint not null,
    -- Method and path of the call, without secrets and personal data.
    request     text not null,
    -- What the call was to change: `add/<group>/<account>`, …
    edges       text[] not null,
    began_at    bigint not null,
    ended_at    bigint,
    disposition text,
    status      integer,
    answer      text not null default ''
);
create index attempt_command on effect.attempt (command);
create index attempt_unended on effect.attempt (tenant, target) where ended_at is null;

create table effect.outcome (
    command uuid primary key,
    tenant  text collate "C" not null,
    target  text collate "C" not null,
    at      bigint not null,
    -- The JSON of `model::Outcome`.
    body    bytea not null
);
create index outcome_at on effect.outcome (tenant, at);

create table effect.dead_letter (
    id          bigint generated always as identity primary key,
    tenant      text collate "C" not null,
    target      text collate "C" not null,
    fault_key   text collate "C" not null,
    -- The JSON of `model::Fault`.
    fault       text not null,
    class       text collate "C" not null,
    first_at    bigint not null,
    last_at     bigint not null,
    attempts    integer not null,
    answer      text not null,
    traceparent text,
    -- open, resolved, moot, discarded.
    state       text not null,
    closed_at   bigint
);
create unique index dead_letter_open on effect.dead_letter (tenant, target, fault_key, class) where state = 'open';

-- Which commands attached themselves to a letter.
create table effect.dead_letter_attempt (
    letter  bigint not null references effect.dead_letter (id),
    command uuid not null,
    -- The edges of the command that attach.
    edges   text[] not null,
    at      bigint not null,
    answer  text not null,
    primary key (letter, command)
);

-- Bytes that could not be read: kept, so that nothing is lost by not understanding it.
create table effect.buried (
    id        bigint generated always as identity primary key,
    subject   text not null,
    sequence  bigint not null,
    payload   bytea not null,
    why       text not null,
    buried_at timestamptz not null default clock_timestamp(),
    unique (subject, sequence)
);

create table effect.outbox (like directory.outbox including defaults including identity);
alter table effect.outbox add primary key (id);
create index effect_outbox_waiting on effect.outbox (id) where published_at is null;
create index effect_outbox_unsettled on effect.outbox (settle_key) where settle_key <> '' and settled_at is null;
create index effect_outbox_old on effect.outbox (published_at) where published_at is not null;
