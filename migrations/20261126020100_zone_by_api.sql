-- Zones that the API makes and removes, beside those of the operator's commands.

alter table zone add column kind text not null default 'full';
alter table zone add constraint zone_kind_name check (kind in ('full', 'partial', 'secondary', 'internal'));
comment on column zone.kind is 'As asked for; nothing here depends on it.';

-- The switch of load balancing stays the operator's.
grant insert (account_id, zone_id, name, kind, created_on, modified_on), delete on zone to quorate_app;
