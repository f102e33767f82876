-- Bodies of events as the text that they are written and read as: to put a page of `jsonb` together as text took a third of
-- the page's time. Rewrites the events, for which nothing else may touch them meanwhile.

alter table health_event alter column subject drop expression;
alter table health_event alter column body type json using body::text::json;

-- As before, but for the body, which comes as text, and the subject, which is no generated column any more.
create function commit_verdicts(
    fence_bucket smallint,
    fence_owner bytea,
    fence_epoch bigint,
    fence_config_seq bigint,
    check_accounts bytea[],
    check_ids bytea[],
    check_gens bigint[],
    check_seqs bigint[],
    check_verdicts smallint[],
    check_reasons smallint[],
    check_codes integer[],
    pool_accounts bytea[],
    pool_ids bytea[],
    pool_seqs bigint[],
    pool_states smallint[],
    event_accounts bytea[],
    event_pools bytea[],
    event_pool_names text[],
    event_pool_healthy boolean[],
    event_checks bytea[],
    event_seqs bigint[],
    event_origin_names text[],
    event_origin_healthy boolean[],
    event_bodies text[],
    out event_ids bigint[],
    out occurred_at timestamptz
)
    language plpgsql
as $$
declare
    written bigint;
    instant timestamptz;
    ids bigint[];
begin
    -- Shared: ticks of one owner do not wait for each other; a configuration change or a new owner waits, and is waited for.
    perform from bucket_owner as b
    where b.bucket = fence_bucket and b.owner = fence_owner and b.epoch = fence_epoch and b.config_seq = fence_config_seq
    for share;
    if not found then
        raise exception using errcode = 'QU001', message = 'the bucket is fenced';
    end if;

    instant := clock_timestamp();

    update check_state as s
    set verdict = c.verdict, verdict_seq = s.verdict_seq + 1, reason = c.reason, response_code = c.code, since = instant
    from unnest(check_accounts, check_ids, check_gens, check_seqs, check_verdicts, check_reasons, check_codes)
        as c (account_id, check_id, gen, seq, verdict, reason, code)
    where s.bucket = fence_bucket
        and s.account_id = c.account_id
        and s.check_id = c.check_id
        and s.config_gen = c.gen
        and s.verdict_seq = c.seq
        and s.verdict <> c.verdict;
    get diagnostics written = row_count;
    if written <> cardinality(check_ids) then
        raise exception using errcode = 'QU002', message = 'a check is not as expected';
    end if;

    update pool_state as s
    set state = p.state, state_seq = s.state_seq + 1, since = instant
    from unnest(pool_accounts, pool_ids, pool_seqs, pool_states) as p (account_id, pool_id, seq, state)
    where s.bucket = fence_bucket
        and s.account_id = p.account_id
        and s.pool_id = p.pool_id
        and s.state_seq = p.seq
        and s.state <> p.state;
    get diagnostics written = row_count;
    if written <> cardinality(pool_ids) then
        raise exception using errcode = 'QU002', message = 'a pool is not as expected';
    end if;

    ids := array(select nextval('health_event_id_seq') from generate_series(1, cardinality(event_bodies)));

    insert into health_event (
        bucket, event_id, occurred_at, account_id, pool_id, pool_name, pool_healthy,
        check_id, verdict_seq, origin_name, origin_healthy, body, subject
    )
    select fence_bucket, e.id, instant, e.account_id, e.pool_id, e.pool_name, e.pool_healthy,
        e.check_id, e.seq, e.origin_name, e.origin_healthy, e.body::json, coalesce(e.body::json ->> 'subject', 'pool')
    from unnest(
        ids, event_accounts, event_pools, event_pool_names, event_pool_healthy,
        event_checks, event_seqs, event_origin_names, event_origin_healthy, event_bodies
    ) as e (id, account_id, pool_id, pool_name, pool_healthy, check_id, seq, origin_name, origin_healthy, body);

    insert into outbox (bucket, event_id, subscription_id, account_id, check_id, verdict_seq, created_on)
    select fence_bucket, e.id, s.subscription_id, e.account_id, e.check_id, e.seq, instant
    from unnest(ids, event_accounts, event_checks, event_seqs) as e (id, account_id, check_id, seq)
    join event_subscription as s on s.account_id = e.account_id;

    event_ids := ids;
    occurred_at := instant;
end
$$;

comment on function commit_verdicts(
    smallint, bytea, bigint, bigint, bytea[], bytea[], bigint[], bigint[], smallint[], smallint[], integer[], bytea[], bytea[], bigint[],
    smallint[], bytea[], bytea[], text[], boolean[], bytea[], bigint[], text[], boolean[], text[]
) is
    'Publishes a tick of a bucket. Raises QU001 where owner, epoch or config_seq differ, QU002 where a check or pool is not as expected; then nothing is written.';
revoke all on function commit_verdicts(
    smallint, bytea, bigint, bigint, bytea[], bytea[], bigint[], bigint[], smallint[], smallint[], integer[], bytea[], bytea[], bigint[],
    smallint[], bytea[], bytea[], text[], boolean[], bytea[], bigint[], text[], boolean[], text[]
) from public;
grant execute on function commit_verdicts(
    smallint, bytea, bigint, bigint, bytea[], bytea[], bigint[], bigint[], smallint[], smallint[], integer[], bytea[], bytea[], bigint[],
    smallint[], bytea[], bytea[], text[], boolean[], bytea[], bigint[], text[], boolean[], text[]
) to quorate_control;

-- What replicas of the version before call, until they are replaced.
create or replace function commit_verdicts(
    fence_bucket smallint,
    fence_owner bytea,
    fence_epoch bigint,
    fence_config_seq bigint,
    check_accounts bytea[],
    check_ids bytea[],
    check_gens bigint[],
    check_seqs bigint[],
    check_verdicts smallint[],
    check_reasons smallint[],
    check_codes integer[],
    pool_accounts bytea[],
    pool_ids bytea[],
    pool_seqs bigint[],
    pool_states smallint[],
    event_accounts bytea[],
    event_pools bytea[],
    event_pool_names text[],
    event_pool_healthy boolean[],
    event_checks bytea[],
    event_seqs bigint[],
    event_origin_names text[],
    event_origin_healthy boolean[],
    event_bodies jsonb[],
    out event_ids bigint[],
    out occurred_at timestamptz
)
    language sql
begin atomic
    select c.event_ids, c.occurred_at
    from commit_verdicts(
        fence_bucket, fence_owner, fence_epoch, fence_config_seq, check_accounts, check_ids, check_gens, check_seqs, check_verdicts,
        check_reasons, check_codes, pool_accounts, pool_ids, pool_seqs, pool_states, event_accounts, event_pools, event_pool_names,
        event_pool_healthy, event_checks, event_seqs, event_origin_names, event_origin_healthy, event_bodies::text[]
    ) as c;
end;

-- As before, with the subject among the columns.
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
                 check_id, verdict_seq, origin_name, origin_healthy, body, subject
             )
             select bucket, event_id, occurred_at, account_id, pool_id, pool_name, pool_healthy,
                 check_id, verdict_seq, origin_name, origin_healthy, body, subject
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
