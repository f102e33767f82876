-- Pools and their origins. What the vendor's schema knows and we do not execute is kept as JSON and
-- given back; SQL null there means that the field was absent, JSON null that it was null.

create table pool (
    account_id bytea not null,
    pool_id bytea not null,
    bucket smallint not null,
    name text not null,
    description text not null,
    enabled boolean not null,
    disabled_at timestamptz,
    minimum_origins bigint not null,
    monitor_id bytea,
    monitor_group text,
    check_regions text[],
    latitude double precision,
    longitude double precision,
    notification_email text not null,
    origin_steering jsonb,
    load_shedding jsonb,
    notification_filter jsonb,
    health_sources jsonb,
    created_on timestamptz not null,
    modified_on timestamptz not null,
    constraint pool_pkey primary key (account_id, pool_id),
    constraint pool_id_length check (octet_length(pool_id) = 16),
    constraint pool_account_fkey foreign key (account_id) references account (account_id),
    constraint pool_name_key unique (account_id, name),
    constraint pool_monitor_fkey foreign key (account_id, monitor_id) references monitor (account_id, monitor_id),
    constraint pool_bucket_range check (bucket between 0 and 1023),
    constraint pool_disabled_since check (enabled = (disabled_at is null)),
    constraint pool_minimum_origins_not_negative check (minimum_origins >= 0)
);
create index pool_bucket_idx on pool (bucket);
create index pool_monitor_idx on pool (account_id, monitor_id) where monitor_id is not null;

comment on column pool.bucket is 'Hash of the pool id over 1024 buckets: where its health lives. Never changes.';
comment on column pool.check_regions is 'As written: region codes or ALL_REGIONS; null: every registered PoP.';
comment on column pool.minimum_origins is 'Fewer healthy origins than this: critical.';

create table origin (
    account_id bytea not null,
    pool_id bytea not null,
    check_id bytea not null,
    config_gen bigint not null,
    place smallint not null,
    name text not null,
    address text not null,
    enabled boolean not null,
    disabled_at timestamptz,
    weight smallint not null,
    host text,
    port integer not null,
    flatten_cname boolean,
    virtual_network_id text,
    constraint origin_pkey primary key (account_id, pool_id, check_id),
    constraint origin_check_id_length check (octet_length(check_id) = 16),
    constraint origin_pool_fkey foreign key (account_id, pool_id) references pool (account_id, pool_id) on delete cascade,
    constraint origin_name_key unique (account_id, pool_id, name),
    constraint origin_config_gen_positive check (config_gen > 0),
    constraint origin_disabled_since check (enabled = (disabled_at is null)),
    constraint origin_weight_range check (weight between 0 and 100),
    constraint origin_port_range check (port between 0 and 65535)
);

comment on table origin is 'Origins; each is a check, from its insertion to its removal.';
comment on column origin.config_gen is 'Grows with each change of what is probed; votes are cast under it. The same as in check_state.';
comment on column origin.place is 'Order in the pool, as given; from 0.';
comment on column origin.weight is 'Hundredths, 0 to 100.';
comment on column origin.host is 'The Host header; null: the monitor''s, or the address.';
comment on column origin.port is '0: the protocol''s.';

alter table pool enable row level security;
alter table pool force row level security;
create policy tenant on pool to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on pool to quorate_control using (true) with check (true);

alter table origin enable row level security;
alter table origin force row level security;
create policy tenant on origin to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on origin to quorate_control using (true) with check (true);

grant select, insert, update, delete on pool, origin to quorate_app;
grant select on pool, origin to quorate_control;

create function origin_rows(of_account bytea, of_pool bytea) returns jsonb
    language sql stable parallel safe
    return (
        select coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'check_id', encode(o.check_id, 'hex'),
                    'config_gen', o.config_gen,
                    'disabled_at', o.disabled_at,
                    'name', o.name,
                    'address', o.address,
                    'enabled', o.enabled,
                    'weight', o.weight,
                    'host', o.host,
                    'port', o.port,
                    'flatten_cname', o.flatten_cname,
                    'virtual_network_id', o.virtual_network_id
                )
                order by o.place
            ),
            '[]'::jsonb
        )
        from origin as o
        where o.account_id = of_account and o.pool_id = of_pool
    );

comment on function origin_rows(bytea, bytea) is 'The origins of a pool in order, so that a pool and its origins are read in one statement, as of one instant.';
