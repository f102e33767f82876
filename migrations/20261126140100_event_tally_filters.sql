-- Counts by what lists filter by, without reading those of all other pools and origins: with the count in the index.

create index event_tally_origin_healthy_idx on event_tally (account_id, subject, origin_healthy, day) include (events);
create index event_tally_origin_idx on event_tally (account_id, subject, origin_name, origin_healthy, day) include (events);
create index event_tally_pool_healthy_idx on event_tally (account_id, subject, pool_healthy, day) include (events);
