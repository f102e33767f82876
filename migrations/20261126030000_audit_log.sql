-- The audit log: who changed what, from where, in the transaction of the change. Nobody but the owner can change or
-- remove a row, and each row carries the hash of the one before it, so that whoever does leaves a trace.

create table audit_log (
    account_id bytea not null,
    seq bigint not null,
    occurred_at timestamptz not null,
    actor_kind text not null,
    actor_id text,
    actor_name text,
    address text,
    action text not null,
    object_kind text not null,
    object_id text not null,
    object_name text not null,
    changed text[] not null,
    before_digest bytea,
    after_digest bytea,
    previous bytea not null,
    hash bytea not null,
    constraint audit_log_pkey primary key (account_id, seq),
    constraint audit_log_account_id_length check (octet_length(account_id) = 16),
    constraint audit_log_seq_positive check (seq > 0),
    constraint audit_log_actor_kind_name check (actor_kind in ('token', 'operator')),
    constraint audit_log_actor_is_named check ((actor_kind = 'operator') = (actor_id is null)),
    constraint audit_log_action_name check (action in ('create', 'update', 'delete')),
    constraint audit_log_digests_of_action check (
        (action = 'create') = (before_digest is null) and (action = 'delete') = (after_digest is null)
    ),
    constraint audit_log_hash_length check (octet_length(previous) = 32 and octet_length(hash) = 32)
);
create index audit_log_time_idx on audit_log (account_id, occurred_at);

comment on table audit_log is
    'One row a change of an object of an account. No foreign key: the log outlives what it tells of. The account of 16 zero bytes stands for what belongs to the installation, as PoPs do.';
comment on column audit_log.seq is 'Without gaps from 1, in each account.';
comment on column audit_log.actor_kind is 'token: a request under an API token; operator: a command of the operator.';
comment on column audit_log.address is 'Where the request came from; null: not over the network.';
comment on column audit_log.changed is 'Names of the fields that differ; of all fields for a creation or a deletion.';
comment on column audit_log.before_digest is 'SHA-256 of the object as JSON, secret values left out; null: it was not there.';
comment on column audit_log.after_digest is 'The same after the change; null: it is gone.';
comment on column audit_log.previous is 'The hash of the row before it; 32 zero bytes in the first.';
comment on column audit_log.hash is 'SHA-256 over this row and previous.';

alter table audit_log enable row level security;
alter table audit_log force row level security;
create policy tenant on audit_log to quorate_app
    using (account_id = any ((select quorate_accounts())::bytea[]))
    with check (account_id = any ((select quorate_accounts())::bytea[]));
create policy operator on audit_log to quorate_control using (true) with check (true);

grant select, insert on audit_log to quorate_app, quorate_control;
