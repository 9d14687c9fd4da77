-- The trace in which a version was read: whoever finds it before its message came still tells one story of it.
alter table directory.commit add column traceparent text;

-- The trace in which an edge was released: its command may have to wait for another one, and is part of it all the same.
alter table plan.released_edge add column traceparent text;
