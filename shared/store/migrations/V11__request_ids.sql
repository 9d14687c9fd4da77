-- Requests to vendors bear the id of their attempt as X-Request-Id, so that an effect at the vendor, its attempt and its
-- entry in the audit chain are joined by it. An attempt of several requests calls the second `<id>.2`, and so on.
comment on column effect.attempt.id is 'The X-Request-Id of the attempt''s first request; later ones are <id>.2, <id>.3, …';
comment on column common.audit.cause is 'Because of what: plan/<n> command/<id> attempt/<id> …; for an effect, every attempt that it may be due to.';
