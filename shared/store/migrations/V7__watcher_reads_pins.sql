-- A watcher walks the members of the groups that are pinned: those that were just made, too.
grant select on plan.pin to rollcall_watcher;
