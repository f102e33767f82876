-- Previews: probes that are made once, and what each region answered. The application writes a
-- preview and reads it; the owner of the pool's bucket asks the workers and writes the answers.

create table preview (
    account_id bytea not null,
    preview_id bytea not null,
    monitor jsonb not null,
    pools jsonb not null,
    created_on timestamptz not null,
    constraint preview_pkey primary key (account_id, preview_id),
    constraint preview_id_length check (octet_length(preview_id) = 16),
    constraint preview_account_fkey foreign key (account_id) references account (account_id),
    constraint preview_monitor_is_an_object check (jsonb_typeof(monitor) = 'object'),
    constraint preview_pools_are_a_list check (jsonb_typeof(pools) = 'array')
);
create index preview_created_on_idx on preview (created_on);

comment on table preview is 'Kept for an hour; then gone for who asks, and soon from here.';
comment on column preview.monitor is 'The settings to probe with, which may be no monitor''s; its header as in monitor.header.';
comment on column preview.pools is 'The pools as they stood: id, name, minimum_origins, enabled origins, regions.';

create table preview_answer (
    account_id bytea not null,
    preview_id bytea not null,
    pool_id bytea not null,
    region text not null,
    bucket smallint not null,
    outcome text,
    pop_no smallint,
    details bytea,
    errors text[],
    answered_on timestamptz,
    constraint preview_answer_pkey primary key (account_id, preview_id, pool_id, region),
    constraint preview_answer_preview_fkey foreign key (account_id, preview_id)
        references preview (account_id, preview_id) on delete cascade,
    constraint preview_answer_bucket_range check (bucket between 0 and 1023),
    constraint preview_answer_outcome_name check (outcome in ('seen', 'no_workers', 'unanswered')),
    constraint preview_answer_is_dated check ((outcome is null) = (answered_on is null)),
    constraint preview_answer_seen_is_whole check (
        coalesce(outcome = 'seen', false) = (pop_no is not null)
        and (pop_no is null) = (details is null)
        and (pop_no is null) = (errors is null)
    )
);
create index preview_answer_open_idx on preview_answer (bucket) where outcome is null;

comment on table preview_answer is 'One row a pool and region.';
comment on column preview_answer.bucket is 'Of the pool: its owner asks.';
comment on column preview_answer.outcome is 'Null: not answered yet.';
comment on column preview_answer.pop_no is 'The PoP that was asked.';
comment on column preview_answer.details is 'Packed: 8 bytes an origin, in the pool''s order.';
comment on column preview_answer.errors is 'Why the check of an origin cannot be run; null where it can.';

alter table preview enable row level security;
alter table preview force row level security;
create policy tenant on preview to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on preview to quorate_control using (true) with check (true);

alter table preview_answer enable row level security;
alter table preview_answer force row level security;
create policy tenant on preview_answer to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on preview_answer to quorate_control using (true) with check (true);

grant select, insert, delete on preview to quorate_app;
grant select, insert on preview_answer to quorate_app;
grant select, delete on preview to quorate_control;
grant select, update (outcome, pop_no, details, errors, answered_on) on preview_answer to quorate_control;
