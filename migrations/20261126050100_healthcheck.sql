-- Standalone health checks. To the engine each is a pool of one origin, and its id is that pool's:
-- its states, votes and events live in the health tables under it.

alter table account add column healthchecks_max bigint not null default 50;
alter table account add constraint account_healthchecks_not_negative check (healthchecks_max >= 0);

create table healthcheck (
    account_id bytea not null,
    healthcheck_id bytea not null,
    zone_id bytea not null,
    bucket smallint not null,
    check_id bytea not null,
    config_gen bigint not null,
    settings jsonb not null,
    default_region text not null,
    created_on timestamptz not null,
    modified_on timestamptz not null,
    constraint healthcheck_pkey primary key (account_id, healthcheck_id),
    constraint healthcheck_id_length check (octet_length(healthcheck_id) = 16),
    constraint healthcheck_check_id_length check (octet_length(check_id) = 16),
    constraint healthcheck_zone_fkey foreign key (account_id, zone_id) references zone (account_id, zone_id),
    constraint healthcheck_bucket_range check (bucket between 0 and 1023),
    constraint healthcheck_config_gen_positive check (config_gen > 0),
    constraint healthcheck_settings_are_an_object check (jsonb_typeof(settings) = 'object')
);
create index healthcheck_bucket_idx on healthcheck (bucket);
create index healthcheck_zone_idx on healthcheck (account_id, zone_id, created_on, healthcheck_id);

comment on column healthcheck.bucket is 'As of a pool with its id. Never changes.';
comment on column healthcheck.config_gen is 'Grows with each change of what is probed; votes are cast under it. The same as in check_state.';
comment on column healthcheck.settings is 'As written; http.header as in monitor.header.';
comment on column healthcheck.default_region is 'From where it is probed while check_regions is null.';

alter table healthcheck enable row level security;
alter table healthcheck force row level security;
create policy tenant on healthcheck to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on healthcheck to quorate_control using (true) with check (true);

grant select, insert, update, delete on healthcheck to quorate_app;
-- Updated only to seal its header under a new key.
grant select, update (settings) on healthcheck to quorate_control;

-- A preview of a health check that nobody has stored.
alter table preview
    add column zone_id bytea,
    add column healthcheck jsonb,
    add constraint preview_healthcheck_has_zone check ((zone_id is null) = (healthcheck is null));

comment on column preview.healthcheck is 'The settings of the health check, where it is one''s preview; null: of pools.';
