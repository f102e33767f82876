-- API tokens. A reference table (the same on every data node): a token may reach several accounts.

create table api_token (
    token_id bytea not null,
    lookup text not null,
    secret_digest bytea not null,
    name text not null,
    may_edit boolean not null,
    accounts bytea[] not null,
    created_on timestamptz not null default clock_timestamp(),
    expires_on timestamptz,
    revoked_on timestamptz,
    last_used_on timestamptz,
    constraint api_token_pkey primary key (token_id),
    constraint api_token_id_length check (octet_length(token_id) = 16),
    constraint api_token_lookup_key unique (lookup),
    constraint api_token_digest_length check (octet_length(secret_digest) = 32),
    constraint api_token_has_accounts check (cardinality(accounts) > 0)
);

comment on table api_token is 'API tokens; the secret itself is nowhere.';
comment on column api_token.lookup is 'The 8-character id part of the token: finds the row, proves nothing.';
comment on column api_token.secret_digest is 'HMAC-SHA-256 of the whole token under a pepper that is not in the database.';
comment on column api_token.may_edit is 'Whether it may change things; every token may read.';
comment on column api_token.accounts is 'The accounts it reaches; the first is its default account.';
comment on column api_token.expires_on is 'Null: never.';
comment on column api_token.last_used_on is 'Written at most once a minute; null: never used.';

grant select, update (last_used_on) on api_token to quorate_auth;
grant select, insert, update on api_token to quorate_control;
