-- What all services share: roles, leases, the audit chain, the stamp of the environment.
--
-- Times that are facts are bigint microseconds since the Unix epoch and come from the caller's clock. Only leases and
-- the bookkeeping of outboxes use database time, since there nothing but this database is compared.
-- Text is COLLATE "C": ids are compared byte by byte, and no upgrade of a collation may reorder an index.

create schema common;
create schema directory;
create schema plan;
create schema effect;
create schema console;

-- Roles belong to the cluster. Another database of it may be creating them at this moment.
do $$
declare
    role_name text;
begin
    foreach role_name in array array['rollcall_watcher', 'rollcall_reconciler', 'rollcall_writer', 'rollcall_console'] loop
        if not exists (select from pg_roles where rolname = role_name) then
            begin
                execute format('create role %I nologin', role_name);
            exception when duplicate_object or unique_violation then
                null;
            end;
        end if;
    end loop;
end $$;

-- Who may act. A holder that is gone is replaced only after the end of its lease and a settling time.
create table common.lease (
    name        text collate "C" primary key,
    holder      text collate "C" not null,
    epoch       bigint not null,
    expires_at  timestamptz not null
);

-- The last link of each tenant's chain: appending locks this row, and a chain that lost its end no longer meets it.
create table common.audit_head (
    tenant  text collate "C" primary key,
    seq     bigint not null,
    hash    bytea not null
);

create table common.audit (
    tenant  text collate "C" not null,
    seq     bigint not null,
    at      bigint not null,
    actor   text not null,
    verb    text not null,
    key     text not null,
    before  bytea not null,
    after   bytea not null,
    cause   text not null,
    prev    bytea not null,
    hash    bytea not null,
    primary key (tenant, seq)
);

-- One field of an entry, with its length before it, so that no two entries share their bytes.
create function common.audit_field(field bytea) returns bytea
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
    as $$ select int4send(length(field)) || field $$;

create function common.audit_hash(
    tenant text, seq bigint, at bigint, actor text, verb text, key text, before bytea, after bytea, cause text, prev bytea
) returns bytea
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
    as $$
        select sha256('\x00'::bytea
            || common.audit_field(convert_to(tenant, 'UTF8'))
            || int8send(seq) || int8send(at)
            || common.audit_field(convert_to(actor, 'UTF8'))
            || common.audit_field(convert_to(verb, 'UTF8'))
            || common.audit_field(convert_to(key, 'UTF8'))
            || common.audit_field(before) || common.audit_field(after)
            || common.audit_field(convert_to(cause, 'UTF8'))
            || common.audit_field(prev))
    $$;

-- The only way to append. Runs with the rights of its owner: nobody else may insert, and nobody may change or remove.
-- Services call it last in their transactions, for it locks the tenant's head until they commit.
create function common.append_audit(
    tenant_in text, at_in bigint[], actor_in text[], verb_in text[], key_in text[],
    before_in bytea[], after_in bytea[], cause_in text[]
) returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    as $$
declare
    last_seq bigint;
    last_hash bytea;
    next_hash bytea;
begin
    insert into common.audit_head (tenant, seq, hash) values (tenant_in, 0, sha256(convert_to(tenant_in, 'UTF8')))
        on conflict (tenant) do nothing;
    select h.seq, h.hash into last_seq, last_hash from common.audit_head h where h.tenant = tenant_in for update;
    for i in 1 .. coalesce(array_length(at_in, 1), 0) loop
        last_seq := last_seq + 1;
        next_hash := common.audit_hash(tenant_in, last_seq, at_in[i], actor_in[i], verb_in[i], key_in[i],
            before_in[i], after_in[i], cause_in[i], last_hash);
        insert into common.audit (tenant, seq, at, actor, verb, key, before, after, cause, prev, hash)
            values (tenant_in, last_seq, at_in[i], actor_in[i], verb_in[i], key_in[i],
                before_in[i], after_in[i], cause_in[i], last_hash, next_hash);
        last_hash := next_hash;
    end loop;
    update common.audit_head h set seq = last_seq, hash = last_hash where h.tenant = tenant_in;
    return last_seq;
end $$;

-- Which environment this database belongs to: a copy of production that wakes up elsewhere must not act.
create table common.stamp (
    only_row    boolean primary key default true check (only_row),
    environment text not null
);
