-- PoPs and their worker tokens. A reference table: a registered PoP is one whose token is not revoked.

create table pop (
    pop_no smallint not null,
    code text not null,
    region text not null,
    city text not null,
    country text not null,
    secret_digest bytea not null,
    created_on timestamptz not null default clock_timestamp(),
    revoked_on timestamptz,
    connected boolean,
    last_round_at timestamptz,
    version text,
    checks bigint,
    constraint pop_pkey primary key (pop_no),
    constraint pop_no_not_negative check (pop_no >= 0),
    constraint pop_code_key unique (code),
    constraint pop_code_form check (code ~ '^[a-z0-9-]{1,32}$'),
    constraint pop_region_code check (
        region in ('WNAM', 'ENAM', 'WEU', 'EEU', 'NSAM', 'SSAM', 'OC', 'ME', 'NAF', 'SAF', 'SAS', 'SEAS', 'NEAS')
    ),
    constraint pop_country_form check (country ~ '^[A-Z]{2}$'),
    constraint pop_digest_key unique (secret_digest),
    constraint pop_digest_length check (octet_length(secret_digest) = 32)
);

comment on table pop is 'PoPs with their worker tokens. Rows are never deleted: evidence names PoPs by number.';
comment on column pop.pop_no is 'Given once, in order, never reused: packed votes and seats hold it.';
comment on column pop.country is 'ISO 3166-1 alpha-2.';
comment on column pop.secret_digest is 'HMAC-SHA-256 of the secret in the worker token, under a pepper that is not in the database.';
comment on column pop.revoked_on is 'Null: registered.';
comment on column pop.connected is 'As its gateway last saw it; null: it never had a session.';
comment on column pop.checks is 'How many checks it runs.';

grant select (pop_no, code, region, city, country, created_on, revoked_on) on pop to quorate_app;
grant select on pop to quorate_auth;
grant select, insert, update on pop to quorate_control;
