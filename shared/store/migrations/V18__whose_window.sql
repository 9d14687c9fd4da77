-- Who it was that was counted as taken out: a person counts once, however long the way out takes.
alter table plan.window_entry
    add column source text collate "C",
    add column person text collate "C";

-- When the target said that it takes the account's membership away. Some do that from a queue, and show the member until
-- it is that one's turn.
alter table plan.leaving add column removed_at bigint;
