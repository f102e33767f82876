-- Lists that ask for health alone read few counts too; and those that name a pool read its own. A replica of the version before
-- counts nothing from here on, and is told so by an error each hour: what it would count waits for its successor.

-- Both tables show their owner nothing, otherwise. In the order in which replicas lock them.
alter table event_tally no force row level security;
alter table event_day no force row level security;

alter table event_day drop constraint event_day_pkey;
alter table event_day
    add column pool_healthy boolean,
    add column origin_healthy boolean,
    add constraint event_day_key unique nulls not distinct (account_id, day, subject, pool_healthy, origin_healthy) include (events);

comment on table event_day is 'Events of each account and day (UTC) by health. The sum of event_tally, for lists that name neither pool nor origin.';

delete from event_day;
insert into event_day (account_id, day, subject, pool_healthy, origin_healthy, events)
select account_id, day, subject, pool_healthy, origin_healthy, sum(events)
from event_tally
group by account_id, day, subject, pool_healthy, origin_healthy;
alter table event_day force row level security;
alter table event_tally force row level security;

create index event_tally_pool_name_idx on event_tally (account_id, subject, pool_name, pool_healthy, day) include (events);
