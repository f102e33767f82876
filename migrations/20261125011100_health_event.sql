-- Recorded verdict changes: one row a change, partitioned by day (UTC), dropped by partition.

create sequence health_event_id_seq as bigint maxvalue 9007199254740991;
comment on sequence health_event_id_seq is 'Ids of events in the API: one sequence, below 2^53 so that every JSON reader keeps them.';

create table health_event (
    bucket smallint not null,
    event_id bigint not null,
    occurred_at timestamptz not null,
    account_id bytea not null,
    pool_id bytea not null,
    pool_name text not null,
    pool_healthy boolean,
    check_id bytea,
    verdict_seq bigint,
    origin_name text,
    origin_healthy boolean,
    body jsonb not null,
    constraint health_event_pkey primary key (bucket, event_id, occurred_at),
    constraint health_event_check_has_seq check ((check_id is null) = (verdict_seq is null))
) partition by range (occurred_at);
create index health_event_account_idx on health_event (account_id, occurred_at desc, event_id desc);
create index health_event_id_idx on health_event (event_id);

comment on table health_event is
    'Written in the transaction that changed the verdict, and only there. Columns beside the body are what lists filter by.';
comment on column health_event.occurred_at is 'By the database''s clock, in the transaction that changed the verdict.';
comment on column health_event.pool_healthy is 'After the change; null: unknown or disabled.';
comment on column health_event.check_id is 'The changed check; null: the pool was changed by configuration.';
comment on column health_event.verdict_seq is 'The change''s number in its check.';
comment on column health_event.origin_name is 'The changed origin; null: none.';

create table health_event_default partition of health_event default;
comment on table health_event_default is 'Catches what has no day of its own yet; empty while the housekeeping runs.';

alter table health_event enable row level security;
alter table health_event force row level security;
create policy tenant on health_event to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on health_event to quorate_control using (true) with check (true);

grant select on health_event to quorate_app;
grant select, insert on health_event to quorate_control;
grant usage on sequence health_event_id_seq to quorate_control;

-- Makes the days from today on and drops those that are old. The owner's right, lent to the control role.
-- Attaching, not "partition of": the parent stays readable and writable meanwhile.
create function keep_event_partitions(days_ahead integer, retain_days integer, out created integer, out dropped integer)
    language plpgsql security definer
    set search_path = public, pg_temp
    set lock_timeout = '5s'
as $$
declare
    today date := (now() at time zone 'UTC')::date;
    day date;
    partition_name text;
    day_start timestamptz;
    day_end timestamptz;
begin
    created := 0;
    dropped := 0;
    if days_ahead < 0 or retain_days < 1 then
        raise exception 'days_ahead must be at least 0 and retain_days at least 1';
    end if;
    if not pg_try_advisory_xact_lock(7310035) then
        return;
    end if;
    for day in select today + n from generate_series(0, days_ahead) as n loop
        partition_name := format('health_event_%s', to_char(day, 'YYYYMMDD'));
        continue when to_regclass(partition_name) is not null;
        day_start := day::timestamp at time zone 'UTC';
        day_end := (day + 1)::timestamp at time zone 'UTC';
        execute format('create table %I (like health_event including all)', partition_name);
        execute format(
            'with caught as (delete from health_event_default where occurred_at >= %L and occurred_at < %L returning *)
             insert into %I select * from caught',
            day_start, day_end, partition_name
        );
        execute format('alter table health_event attach partition %I for values from (%L) to (%L)', partition_name, day_start, day_end);
        created := created + 1;
    end loop;
    for partition_name in
        select child.relname
        from pg_inherits
        join pg_class as child on child.oid = pg_inherits.inhrelid
        where pg_inherits.inhparent = 'health_event'::regclass
            and child.relname ~ '^health_event_\d{8}$'
            and to_date(right(child.relname, 8), 'YYYYMMDD') < today - retain_days
    loop
        execute format('drop table %I', partition_name);
        dropped := dropped + 1;
    end loop;
end
$$;

comment on function keep_event_partitions(integer, integer) is
    'Housekeeping of the daily partitions; one caller at a time does the work, the others return zeros.';
revoke all on function keep_event_partitions(integer, integer) from public;
grant execute on function keep_event_partitions(integer, integer) to quorate_control;

select keep_event_partitions(3, 90);
