-- One role per service, with its grants and no others.

revoke all on schema common, directory, plan, effect, console from public;
revoke all on all tables in schema common, directory, plan, effect, console from public;
revoke all on all functions in schema common from public;

grant usage on schema common to rollcall_watcher, rollcall_reconciler, rollcall_writer, rollcall_console;
grant select, insert, update on common.lease to rollcall_watcher, rollcall_reconciler, rollcall_writer, rollcall_console;
grant select on common.stamp to rollcall_watcher, rollcall_reconciler, rollcall_writer, rollcall_console;
-- The chain is read by whoever shows or verifies it and appended to through one function; nobody changes or removes.
grant select on common.audit, common.audit_head to rollcall_console, rollcall_reconciler;
grant execute on function common.append_audit to rollcall_watcher, rollcall_reconciler, rollcall_writer, rollcall_console;

-- Watchers write what they saw. They read which facts they are asked for, and how far their events were taken in.
grant usage on schema directory, plan to rollcall_watcher;
grant select, insert, update, delete on all tables in schema directory to rollcall_watcher;
grant select on plan.need, plan.progress to rollcall_watcher;

-- The reconciler reads what was seen, done and decided by people, and writes its own.
grant usage on schema directory, plan, effect, console to rollcall_reconciler;
grant select on all tables in schema directory, effect, console to rollcall_reconciler;
grant select, insert, update, delete on all tables in schema plan to rollcall_reconciler;

-- Writers read commands and generations, and write the ledger.
grant usage on schema plan, effect, console to rollcall_writer;
grant select on plan.command, plan.generation, plan.moot_letter to rollcall_writer;
grant select on console.letter_verdict, console.pause to rollcall_writer;
grant select, insert, update, delete on all tables in schema effect to rollcall_writer;

-- The console shows everything and adds what people decide. It asks for reads by adding wishes.
grant usage on schema directory, plan, effect, console to rollcall_console;
grant select on all tables in schema directory, plan, effect, console to rollcall_console;
grant insert on all tables in schema console to rollcall_console;
grant insert on directory.wish to rollcall_console;

do $$
begin
    execute format(
        'grant temporary on database %I to rollcall_watcher, rollcall_reconciler', current_database());
end $$;
