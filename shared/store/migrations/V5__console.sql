-- What people decided. Rows are added, never changed.

create table console.approval (
    id          bigint generated always as identity primary key,
    tenant      text collate "C" not null,
    -- The digest of the case: of those bytes and no others.
    digest      bytea not null,
    -- approved, rejected.
    verdict     text not null check (verdict in ('approved', 'rejected')),
    -- Who proposed what is decided: whoever asked for the run, or the reconciler.
    proposer    text not null,
    actor       text not null,
    reason      text not null,
    at          bigint not null,
    expires_at  bigint not null,
    -- Four eyes: nobody decides what they proposed.
    constraint four_eyes check (actor <> proposer)
);
create index approval_digest on console.approval (tenant, digest);

create table console.conflict_decision (
    id       bigint generated always as identity primary key,
    tenant   text collate "C" not null,
    target   text collate "C" not null,
    group_id text collate "C" not null,
    -- adopt, add-only, keep-apart, ignore.
    decision text not null check (decision in ('adopt', 'add-only', 'keep-apart', 'ignore')),
    until_at bigint,
    actor    text not null,
    at       bigint not null
);
create index conflict_decision_group on console.conflict_decision (tenant, target, group_id, id desc);

-- What a person did with a dead letter.
create table console.letter_verdict (
    id     bigint generated always as identity primary key,
    tenant text collate "C" not null,
    letter bigint not null,
    -- redrive, discard.
    verb   text not null check (verb in ('redrive', 'discard')),
    actor  text not null,
    reason text not null,
    at     bigint not null
);
create index letter_verdict_letter on console.letter_verdict (tenant, letter, id desc);

-- Pauses of dispatch: the newest row of a target holds; `*` is every target.
create table console.pause (
    id     bigint generated always as identity primary key,
    tenant text collate "C" not null,
    target text collate "C" not null,
    paused boolean not null,
    actor  text not null,
    at     bigint not null
);

-- Whether a letter still waits for a person: the writer's row, under what people and later decisions say of it.
create view effect.letter as
    select d.id, d.tenant, d.target, d.fault_key, d.fault, d.class, d.first_at, d.last_at, d.attempts, d.answer,
           d.traceparent,
           case
               when d.state <> 'open' then d.state
               when v.verb = 'discard' and v.at >= d.last_at then 'discarded'
               when m.moot_at >= d.last_at then 'moot'
               when v.verb = 'redrive' and v.at >= d.last_at then 'redriven'
               else 'open'
           end as state
      from effect.dead_letter d
      left join plan.moot_letter m on m.tenant = d.tenant and m.id = d.id
      left join lateral (
          select l.verb, l.at from console.letter_verdict l
           where l.tenant = d.tenant and l.letter = d.id order by l.id desc limit 1
      ) v on true;
