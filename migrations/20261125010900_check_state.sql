-- The published state of pools and checks. Written by configuration changes (rows come and go) and by
-- verdict commits (one update a flip, and no index holds a column that flips).

create table pool_state (
    bucket smallint not null,
    account_id bytea not null,
    pool_id bytea not null,
    state smallint not null,
    state_seq bigint not null default 0,
    since timestamptz not null,
    quorum_lost_since timestamptz,
    constraint pool_state_pkey primary key (bucket, account_id, pool_id),
    constraint pool_state_bucket_fkey foreign key (bucket) references bucket_owner (bucket),
    constraint pool_state_state_range check (state between 0 and 4)
) with (fillfactor = 80);

comment on column pool_state.state is '0 unknown, 1 healthy, 2 degraded, 3 critical, 4 disabled.';
comment on column pool_state.state_seq is 'Counts the published states.';
comment on column pool_state.since is 'When the state last changed.';
comment on column pool_state.quorum_lost_since is 'Not null while missing votes make a majority impossible for some check of the pool.';

create table check_state (
    bucket smallint not null,
    account_id bytea not null,
    check_id bytea not null,
    pool_id bytea not null,
    config_gen bigint not null,
    verdict smallint not null default 0,
    verdict_seq bigint not null default 0,
    reason smallint,
    response_code integer,
    since timestamptz not null,
    constraint check_state_pkey primary key (bucket, account_id, check_id),
    constraint check_state_pool_fkey foreign key (bucket, account_id, pool_id)
        references pool_state (bucket, account_id, pool_id) on delete cascade,
    constraint check_state_verdict_range check (verdict between 0 and 2),
    constraint check_state_known_has_changed check ((verdict = 0) = (verdict_seq = 0)),
    constraint check_state_reason_range check (reason between 1 and 18)
) with (fillfactor = 80);
create index check_state_pool_idx on check_state (bucket, account_id, pool_id);

comment on column check_state.config_gen is 'The generation of origin.config_gen; a verdict is committed only for it.';
comment on column check_state.verdict is '0 unknown, 1 up, 2 down.';
comment on column check_state.verdict_seq is 'Counts the published verdicts: the compare-and-set of every commit.';
comment on column check_state.reason is 'Number of the failure reason; null: none.';
comment on column check_state.response_code is 'HTTP status or SMTP reply behind the verdict; null: none.';
comment on column check_state.since is 'When the verdict last changed.';

alter table pool_state enable row level security;
alter table pool_state force row level security;
create policy tenant on pool_state to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on pool_state to quorate_control using (true) with check (true);

alter table check_state enable row level security;
alter table check_state force row level security;
create policy tenant on check_state to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on check_state to quorate_control using (true) with check (true);

-- A configuration change makes, removes and re-generates rows; verdicts are not the application's to write.
grant select, delete on pool_state, check_state to quorate_app;
grant insert (bucket, account_id, pool_id, state, since) on pool_state to quorate_app;
grant insert (bucket, account_id, check_id, pool_id, config_gen, since), update (config_gen) on check_state to quorate_app;
grant select, update on pool_state, check_state to quorate_control;
