-- Whether an event is of a pool or of a health check, told by its body, so that each has its list.

alter table health_event
    add column subject text not null generated always as (coalesce(body ->> 'subject', 'pool')) stored;

comment on column health_event.subject is 'pool, or healthcheck.';

-- As before, but for the columns: one that is generated cannot be inserted.
create or replace function keep_event_partitions(days_ahead integer, retain_days integer, out created integer, out dropped integer)
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
             insert into %I (
                 bucket, event_id, occurred_at, account_id, pool_id, pool_name, pool_healthy,
                 check_id, verdict_seq, origin_name, origin_healthy, body
             )
             select bucket, event_id, occurred_at, account_id, pool_id, pool_name, pool_healthy,
                 check_id, verdict_seq, origin_name, origin_healthy, body
             from caught',
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
    -- What was dated before any day that there was a partition for: a clock that was set back, or a restored table.
    delete from health_event_default where occurred_at < (today - retain_days)::timestamp at time zone 'UTC';
end
$$;
