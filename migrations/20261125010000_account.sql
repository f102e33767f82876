-- Accounts: the tenants. Key group A, configuration: everything in it starts its key with account_id.

create function quorate_accounts() returns bytea[]
    language sql stable parallel safe
    return nullif(current_setting('quorate.accounts', true), '')::bytea[];

comment on function quorate_accounts() is
    'The accounts that this transaction may see, from the setting quorate.accounts; null, which sees nothing, where it is not set.';

create table account (
    account_id bytea not null,
    name text not null,
    load_balancing_enabled boolean not null default true,
    load_balancers_max bigint not null,
    pools_max bigint not null,
    origins_max bigint not null,
    monitors_max bigint not null,
    origins_per_pool_max bigint not null,
    minimum_monitor_interval_s integer not null,
    created_on timestamptz not null default clock_timestamp(),
    constraint account_pkey primary key (account_id),
    constraint account_id_length check (octet_length(account_id) = 16),
    constraint account_name_not_empty check (name <> ''),
    constraint account_limits_not_negative check (
        load_balancers_max >= 0 and pools_max >= 0 and origins_max >= 0 and monitors_max >= 0 and origins_per_pool_max >= 0
    ),
    constraint account_minimum_monitor_interval_range check (minimum_monitor_interval_s between 1 and 3600)
);

comment on table account is
    'Tenants. Every configuration change of an account locks its row first: quotas are exact, and changes of one account never wait for each other in a circle.';
comment on column account.origins_max is 'Over all pools of the account.';
comment on column account.minimum_monitor_interval_s is 'Seconds: the shortest interval a monitor of the account may have.';

alter table account enable row level security;
alter table account force row level security;
create policy tenant on account to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on account to quorate_control using (true) with check (true);

-- Locking a row needs the right to update some column of it; the limits stay out of the application's reach.
grant select, update (name) on account to quorate_app;
grant select, insert, update on account to quorate_control;
