-- Monitor groups: several monitors that together decide how a PoP votes on an origin.

create table monitor_group (
    account_id bytea not null,
    monitor_group_id bytea not null,
    description text not null,
    created_on timestamptz not null,
    modified_on timestamptz not null,
    constraint monitor_group_pkey primary key (account_id, monitor_group_id),
    constraint monitor_group_id_length check (octet_length(monitor_group_id) = 16),
    constraint monitor_group_account_fkey foreign key (account_id) references account (account_id)
);

create table monitor_group_member (
    account_id bytea not null,
    monitor_group_id bytea not null,
    monitor_id bytea not null,
    place smallint not null,
    enabled boolean not null,
    monitoring_only boolean not null,
    must_be_healthy boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint monitor_group_member_pkey primary key (account_id, monitor_group_id, monitor_id),
    constraint monitor_group_member_group_fkey foreign key (account_id, monitor_group_id)
        references monitor_group (account_id, monitor_group_id) on delete cascade,
    constraint monitor_group_member_monitor_fkey foreign key (account_id, monitor_id) references monitor (account_id, monitor_id)
);
create index monitor_group_member_monitor_idx on monitor_group_member (account_id, monitor_id);

comment on column monitor_group_member.place is 'Order in the group, as given; from 0.';
comment on column monitor_group_member.enabled is 'False: neither probes nor votes.';
comment on column monitor_group_member.monitoring_only is 'Probes and is shown, and does not vote.';
comment on column monitor_group_member.must_be_healthy is 'Its failure alone is the group''s; means nothing where it does not vote.';
comment on column monitor_group_member.created_at is 'When its monitor joined the group.';
comment on column monitor_group_member.updated_at is 'When its part last changed.';

alter table monitor_group enable row level security;
alter table monitor_group force row level security;
create policy tenant on monitor_group to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on monitor_group to quorate_control using (true) with check (true);

alter table monitor_group_member enable row level security;
alter table monitor_group_member force row level security;
create policy tenant on monitor_group_member to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on monitor_group_member to quorate_control using (true) with check (true);

grant select, insert, update, delete on monitor_group, monitor_group_member to quorate_app;
grant select on monitor_group, monitor_group_member to quorate_control;

-- Until now a pool kept any text here, and nothing came of it: there were no groups that it could name.
alter table pool drop column monitor_group;
alter table pool add column monitor_group_id bytea;
alter table pool add constraint pool_monitor_group_fkey
    foreign key (account_id, monitor_group_id) references monitor_group (account_id, monitor_group_id);
alter table pool add constraint pool_one_kind_of_monitoring check (monitor_id is null or monitor_group_id is null);
create index pool_monitor_group_idx on pool (account_id, monitor_group_id) where monitor_group_id is not null;

comment on column pool.monitor_group_id is 'Instead of a monitor; null: no group.';
