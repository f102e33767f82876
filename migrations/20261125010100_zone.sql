-- Zones: the domains of an account, under which load balancers have their names.

create table zone (
    account_id bytea not null,
    zone_id bytea not null,
    name text not null,
    load_balancing_enabled boolean not null default true,
    created_on timestamptz not null default clock_timestamp(),
    modified_on timestamptz not null default clock_timestamp(),
    constraint zone_pkey primary key (account_id, zone_id),
    constraint zone_id_length check (octet_length(zone_id) = 16),
    constraint zone_account_fkey foreign key (account_id) references account (account_id),
    constraint zone_name_key unique (account_id, name),
    constraint zone_name_is_a_domain check (name = lower(name) and name <> '' and name not like '%.')
);
create index zone_id_idx on zone (zone_id);

comment on column zone.name is 'Lower case, no trailing dot.';

alter table zone enable row level security;
alter table zone force row level security;
create policy tenant on zone to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on zone to quorate_control using (true) with check (true);

grant select on zone to quorate_app;
grant select, insert, update, delete on zone to quorate_control;
