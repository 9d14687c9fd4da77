-- How old a command is, by the database's clock alone: a writer does not begin what was decided too long ago, whatever
-- the clocks of its machine and the reconciler's say.
alter table plan.command add column stored_at timestamptz not null default now();
