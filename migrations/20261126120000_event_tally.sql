-- How many events an account has of each kind and day, counted an hour or two after they happened: a list tells how many
-- events match on all of its pages, and must not count a million rows to do so. What is counted stays true: events are only
-- added, at the end, and go with their day.

create table event_day (
    account_id bytea not null,
    day date not null,
    subject text not null,
    events bigint not null,
    constraint event_day_pkey primary key (account_id, day, subject),
    constraint event_day_events_positive check (events > 0)
);

comment on table event_day is 'Events of each account and day (UTC). The sum of event_tally, for lists without a filter.';

create table event_tally (
    account_id bytea not null,
    day date not null,
    subject text not null,
    pool_id bytea not null,
    pool_name text not null,
    pool_healthy boolean,
    origin_name text,
    origin_healthy boolean,
    events bigint not null,
    constraint event_tally_key unique nulls not distinct (
        account_id, day, subject, pool_id, pool_name, pool_healthy, origin_name, origin_healthy
    ) include (events),
    constraint event_tally_events_positive check (events > 0)
);
create index event_tally_pool_idx on event_tally (account_id, pool_id);

comment on table event_tally is 'Events of each account and day (UTC) by all that lists filter by.';

create table event_tally_end (
    only_row boolean not null default true,
    tallied_until timestamptz not null,
    last_event_id bigint not null,
    watched_until timestamptz not null default now(),
    watched_xid xid8 not null default pg_current_xact_id(),
    constraint event_tally_end_pkey primary key (only_row),
    constraint event_tally_end_one_row check (only_row)
);

comment on table event_tally_end is 'How far event_day and event_tally go. One row.';
comment on column event_tally_end.tallied_until is 'Exclusive: all events before it are counted.';
comment on column event_tally_end.last_event_id is 'The newest id at the last count: a higher one before tallied_until means that the clock was set back.';
comment on column event_tally_end.watched_until is 'An instant: every event before it is of a transaction below watched_xid.';
comment on column event_tally_end.watched_xid is 'Once all transactions up to it have ended, no event before watched_until can appear any more.';

-- From the first day that there is. Partitions are read by themselves: the parent shows its owner nothing.
insert into event_tally_end (tallied_until, last_event_id)
select coalesce(min(to_date(right(child.relname, 8), 'YYYYMMDD')), (now() at time zone 'UTC')::date)::timestamp at time zone 'UTC', 0
from pg_inherits
join pg_class as child on child.oid = pg_inherits.inhrelid
where pg_inherits.inhparent = 'health_event'::regclass and child.relname ~ '^health_event_\d{8}$';

alter table event_day enable row level security;
alter table event_day force row level security;
create policy tenant on event_day to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on event_day to quorate_control using (true) with check (true);

alter table event_tally enable row level security;
alter table event_tally force row level security;
create policy tenant on event_tally to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on event_tally to quorate_control using (true) with check (true);

grant select on event_day, event_tally, event_tally_end to quorate_app;
grant select, insert, update (events), delete on event_day, event_tally to quorate_control;
grant select, update on event_tally_end to quorate_control;
