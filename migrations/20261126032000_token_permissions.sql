-- What a token may do, from when, and from where; and the pair of e-mail address and key that old clients send.

alter table api_token
    add column permissions text[],
    add column not_before timestamptz,
    add column allowed_addresses text[],
    add column email text,
    add constraint api_token_permissions_known check (
        permissions <@ array[
            'monitors-and-pools:read', 'monitors-and-pools:edit', 'load-balancers:read', 'load-balancers:edit', 'analytics:read', 'admin'
        ]
    ),
    add constraint api_token_email_not_empty check (email <> '');

comment on column api_token.permissions is 'Groups of routes, to read or to edit; null: written before there were groups, may_edit tells.';
comment on column api_token.may_edit is 'For rows without permissions: whether it may change things; every such token may read.';
comment on column api_token.not_before is 'Null: from the beginning.';
comment on column api_token.allowed_addresses is 'Ranges in CIDR notation from which it may be used; null: from everywhere.';
comment on column api_token.email is 'Set: the secret is not a token but the key that belongs to this address, sent in X-Auth-Email and X-Auth-Key.';
