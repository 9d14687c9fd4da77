-- What a group was given is to be seen: the reconciler asks for a read of it, as people do.
grant insert on directory.wish to rollcall_reconciler;
