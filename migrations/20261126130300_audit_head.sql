-- Where the chains of the audit log ended on a day, signed with a key that is not in the database: rows after which nothing
-- can be taken away unseen.

create table audit_head (
    account_id bytea not null,
    seq bigint not null,
    hash bytea not null,
    signed_on timestamptz not null,
    key_id text not null,
    signature bytea not null,
    constraint audit_head_pkey primary key (account_id, seq),
    constraint audit_head_account_id_length check (octet_length(account_id) = 16),
    constraint audit_head_seq_positive check (seq > 0),
    constraint audit_head_hash_length check (octet_length(hash) = 32),
    constraint audit_head_key_id_form check (key_id ~ '^[0-9a-f]{8}$'),
    constraint audit_head_signature_length check (octet_length(signature) = 64)
);

comment on table audit_head is 'At most one row a day and account. No foreign key: as of audit_log.';
comment on column audit_head.seq is 'The last row of the chain then.';
comment on column audit_head.hash is 'The hash of that row.';
comment on column audit_head.key_id is 'The first 8 hexadecimal characters of SHA-256 of the public key.';
comment on column audit_head.signature is 'Ed25519 over the head in words, as the log of the control plane has it.';

alter table audit_head enable row level security;
alter table audit_head force row level security;
create policy operator on audit_head to quorate_control using (true) with check (true);

grant select, insert on audit_head to quorate_control;
