-- The replicas of the control plane, one row each, written at every heartbeat. A reference table.

create table replica_member (
    replica_id bytea not null,
    url text not null,
    version text not null,
    sessions bigint not null,
    heartbeat_at timestamptz not null,
    constraint replica_member_pkey primary key (replica_id),
    constraint replica_member_id_length check (octet_length(replica_id) = 16)
) with (fillfactor = 50);

comment on table replica_member is 'Replicas: one row a process. Without a row, or with an old heartbeat, a replica is dead.';
comment on column replica_member.url is 'Where workers dial it.';
comment on column replica_member.sessions is 'Worker sessions it last reported.';
comment on column replica_member.heartbeat_at is 'By the database''s clock, which is the only one that ages are measured with.';

grant select, insert, update, delete on replica_member to quorate_control;
