-- Monitors: what to ask of an origin.

create table monitor (
    account_id bytea not null,
    monitor_id bytea not null,
    kind text not null,
    description text not null,
    method text not null,
    path text not null,
    header jsonb not null,
    port integer not null,
    timeout_s integer not null,
    retries smallint not null,
    interval_s integer not null,
    consecutive_up smallint not null,
    consecutive_down smallint not null,
    expected_codes text not null,
    expected_body text not null,
    follow_redirects boolean not null,
    allow_insecure boolean not null,
    probe_zone text not null,
    created_on timestamptz not null,
    modified_on timestamptz not null,
    constraint monitor_pkey primary key (account_id, monitor_id),
    constraint monitor_id_length check (octet_length(monitor_id) = 16),
    constraint monitor_account_fkey foreign key (account_id) references account (account_id),
    constraint monitor_kind_name check (kind in ('http', 'https', 'tcp', 'udp_icmp', 'icmp_ping', 'smtp')),
    constraint monitor_header_is_a_map check (jsonb_typeof(header) = 'object'),
    constraint monitor_port_range check (port between 0 and 65535),
    constraint monitor_timeout_positive check (timeout_s > 0),
    constraint monitor_interval_positive check (interval_s > 0),
    constraint monitor_counts_range check (
        retries between 0 and 255 and consecutive_up between 0 and 255 and consecutive_down between 0 and 255
    )
);

comment on column monitor.header is 'Name to list of values.';
comment on column monitor.port is '0: not set.';
comment on column monitor.timeout_s is 'Seconds: one absolute deadline of one attempt.';
comment on column monitor.interval_s is 'Seconds.';
comment on column monitor.expected_codes is 'As written; empty means 200.';

alter table monitor enable row level security;
alter table monitor force row level security;
create policy tenant on monitor to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on monitor to quorate_control using (true) with check (true);

grant select, insert, update, delete on monitor to quorate_app;
grant select on monitor to quorate_control;
