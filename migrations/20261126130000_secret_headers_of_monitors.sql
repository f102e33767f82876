-- Headers that a monitor itself calls secret, beside those that always are.

alter table monitor add column secret_headers text[] not null default '{}';
comment on column monitor.secret_headers is
    'Names of headers whose values are secret, beside those that are so by themselves; as written. A header of that name need not be there.';
