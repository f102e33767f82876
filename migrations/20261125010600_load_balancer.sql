-- Load balancers, and every place where one names a pool: which is what guards pools from deletion.

create table load_balancer (
    account_id bytea not null,
    load_balancer_id bytea not null,
    zone_id bytea not null,
    name text not null,
    description text not null,
    enabled boolean not null,
    proxied boolean not null,
    ttl_s bigint,
    default_pools bytea[] not null,
    fallback_pool bytea not null,
    region_pools jsonb,
    country_pools jsonb,
    pop_pools jsonb,
    steering_policy text not null,
    session_affinity text not null,
    session_affinity_ttl_s bigint,
    session_affinity_attributes jsonb,
    random_steering jsonb,
    location_strategy jsonb,
    adaptive_routing jsonb,
    rules jsonb,
    pool_sets jsonb,
    networks jsonb,
    created_on timestamptz not null,
    modified_on timestamptz not null,
    constraint load_balancer_pkey primary key (account_id, load_balancer_id),
    constraint load_balancer_id_length check (octet_length(load_balancer_id) = 16),
    constraint load_balancer_zone_fkey foreign key (account_id, zone_id) references zone (account_id, zone_id),
    constraint load_balancer_name_key unique (account_id, zone_id, name)
);
create index load_balancer_zone_idx on load_balancer (zone_id);

comment on column load_balancer.name is 'Host name in the zone.';
comment on column load_balancer.ttl_s is 'Seconds; null: not set.';
comment on column load_balancer.region_pools is 'Region code to list of pool ids; null: absent.';

create table load_balancer_pool (
    account_id bytea not null,
    load_balancer_id bytea not null,
    pool_id bytea not null,
    place text not null,
    constraint load_balancer_pool_pkey primary key (account_id, load_balancer_id, pool_id, place),
    constraint load_balancer_pool_load_balancer_fkey foreign key (account_id, load_balancer_id)
        references load_balancer (account_id, load_balancer_id) on delete cascade,
    constraint load_balancer_pool_pool_fkey foreign key (account_id, pool_id) references pool (account_id, pool_id)
);
create index load_balancer_pool_pool_idx on load_balancer_pool (account_id, pool_id);

comment on table load_balancer_pool is 'Every pool that a load balancer names, those of inactive policies, rules and pool sets included.';
comment on column load_balancer_pool.place is 'Where: default_pools, region_pools.WNAM.';

alter table load_balancer enable row level security;
alter table load_balancer force row level security;
create policy tenant on load_balancer to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on load_balancer to quorate_control using (true) with check (true);

alter table load_balancer_pool enable row level security;
alter table load_balancer_pool force row level security;
create policy tenant on load_balancer_pool to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on load_balancer_pool to quorate_control using (true) with check (true);

grant select, insert, update, delete on load_balancer, load_balancer_pool to quorate_app;
grant select on load_balancer, load_balancer_pool to quorate_control;
