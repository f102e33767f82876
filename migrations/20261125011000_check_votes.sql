-- The votes behind the verdicts, one packed row a check, written behind the verdicts for the quorum view.

create table check_votes (
    bucket smallint not null,
    account_id bytea not null,
    check_id bytea not null,
    votes bytea not null,
    as_of timestamptz not null,
    constraint check_votes_pkey primary key (bucket, account_id, check_id),
    constraint check_votes_check_fkey foreign key (bucket, account_id, check_id)
        references check_state (bucket, account_id, check_id) on delete cascade
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02);

comment on table check_votes is 'What each seat said of a check when its owner last wrote. Never part of a decision.';
comment on column check_votes.votes is 'Packed: the electorate and each seat''s ballot.';

alter table check_votes enable row level security;
alter table check_votes force row level security;
create policy tenant on check_votes to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on check_votes to quorate_control using (true) with check (true);

grant select on check_votes to quorate_app;
grant select, insert, update on check_votes to quorate_control;
