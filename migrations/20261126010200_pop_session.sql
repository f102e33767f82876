-- What each replica sees of each PoP: one session each. A reference table; the row goes with its replica.

create table pop_session (
    pop_no smallint not null,
    replica_id bytea not null,
    connected boolean not null,
    checks bigint not null,
    buckets bigint not null,
    buckets_behind bigint not null,
    constraint pop_session_pkey primary key (pop_no, replica_id),
    constraint pop_session_pop_fkey foreign key (pop_no) references pop (pop_no),
    constraint pop_session_replica_fkey foreign key (replica_id) references replica_member (replica_id) on delete cascade,
    constraint pop_session_behind_range check (buckets_behind between 0 and buckets)
) with (fillfactor = 50);
create index pop_session_replica_idx on pop_session (replica_id);

comment on column pop_session.checks is 'Checks that the PoP is asked to probe, in the buckets that the replica owns.';
comment on column pop_session.buckets is 'Buckets of the replica in which it is asked anything.';
comment on column pop_session.buckets_behind is 'Those of them whose newest manifest it has not acknowledged.';

grant select, insert, update on pop_session to quorate_control;
