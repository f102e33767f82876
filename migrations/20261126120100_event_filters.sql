-- The newest events of a pool or an origin, without reading past those of all the others.

create index health_event_pool_idx on health_event (account_id, pool_id, occurred_at desc, event_id desc);
create index health_event_pool_name_idx on health_event (account_id, pool_name, occurred_at desc, event_id desc);
create index health_event_origin_idx on health_event (account_id, origin_name, occurred_at desc, event_id desc);
