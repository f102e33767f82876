-- Who wants to be told of an account's events, and what is still to be told.

create table event_subscription (
    subscription_id bytea not null,
    account_id bytea not null,
    created_on timestamptz not null default clock_timestamp(),
    constraint event_subscription_pkey primary key (subscription_id),
    constraint event_subscription_id_length check (octet_length(subscription_id) = 16)
);
create index event_subscription_account_idx on event_subscription (account_id);

comment on table event_subscription is 'A reference table, since the verdict transaction of every bucket reads it.';

create table outbox (
    bucket smallint not null,
    event_id bigint not null,
    subscription_id bytea not null,
    account_id bytea not null,
    check_id bytea,
    verdict_seq bigint,
    created_on timestamptz not null,
    constraint outbox_pkey primary key (bucket, event_id, subscription_id)
) with (autovacuum_vacuum_scale_factor = 0.01);

comment on table outbox is
    'Events to deliver: written with the verdict, only where somebody subscribed, deleted when delivered. Per subscription and check in verdict_seq order.';

alter table event_subscription enable row level security;
alter table event_subscription force row level security;
create policy tenant on event_subscription to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on event_subscription to quorate_control using (true) with check (true);

alter table outbox enable row level security;
alter table outbox force row level security;
create policy operator on outbox to quorate_control using (true) with check (true);

grant select, insert, delete on event_subscription to quorate_app;
grant select on event_subscription to quorate_control;
grant select, insert, update, delete on outbox to quorate_control;
