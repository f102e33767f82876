-- Losses and returns of quorum, for the operator: one row each a pool and outage. Never a health event.

create table quorum_notice (
    bucket smallint not null,
    account_id bytea not null,
    pool_id bytea not null,
    occurred_at timestamptz not null,
    lost boolean not null,
    constraint quorum_notice_pkey primary key (bucket, account_id, pool_id, occurred_at)
);

comment on column quorum_notice.lost is 'True: missing votes made a majority impossible; false: votes are back.';

alter table quorum_notice enable row level security;
alter table quorum_notice force row level security;
create policy tenant on quorum_notice to quorate_app using (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on quorum_notice to quorate_control using (true) with check (true);

grant select on quorum_notice to quorate_app;
grant select, insert, delete on quorum_notice to quorate_control;
