-- The same bytes and the same hash as before, in functions that PostgreSQL can put in the place of their calls: a
-- function with a search path of its own is called once for each field of each entry, which took as long as everything
-- else that a change costs. Every name is qualified instead.
create or replace function common.audit_field(field bytea) returns bytea
    language sql immutable strict
    return pg_catalog.int4send(pg_catalog.length(field)) operator(pg_catalog.||) field;

create or replace function common.audit_hash(
    tenant text, seq bigint, at bigint, actor text, verb text, key text, before bytea, after bytea, cause text, prev bytea
) returns bytea
    language sql immutable strict
    return pg_catalog.sha256('\x00'::pg_catalog.bytea
        operator(pg_catalog.||) common.audit_field(pg_catalog.convert_to(tenant, 'UTF8'))
        operator(pg_catalog.||) pg_catalog.int8send(seq)
        operator(pg_catalog.||) pg_catalog.int8send(at)
        operator(pg_catalog.||) common.audit_field(pg_catalog.convert_to(actor, 'UTF8'))
        operator(pg_catalog.||) common.audit_field(pg_catalog.convert_to(verb, 'UTF8'))
        operator(pg_catalog.||) common.audit_field(pg_catalog.convert_to(key, 'UTF8'))
        operator(pg_catalog.||) common.audit_field(before)
        operator(pg_catalog.||) common.audit_field(after)
        operator(pg_catalog.||) common.audit_field(pg_catalog.convert_to(cause, 'UTF8'))
        operator(pg_catalog.||) common.audit_field(prev));
