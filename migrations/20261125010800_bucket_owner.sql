-- Buckets: the fence row and the seats. Key group B, health: everything in it starts its key with bucket.

create table bucket_owner (
    bucket smallint not null,
    owner bytea,
    epoch bigint not null default 0,
    config_seq bigint not null default 1,
    constraint bucket_owner_pkey primary key (bucket),
    constraint bucket_owner_bucket_range check (bucket between 0 and 1023),
    constraint bucket_owner_id_length check (octet_length(owner) = 16)
) with (fillfactor = 50);

comment on table bucket_owner is
    'One row a bucket, and the fence of its verdicts: they are committed only under the owner, epoch and config_seq that stand here. Locked before any other row of its bucket.';
comment on column bucket_owner.owner is 'A replica; null: nobody.';
comment on column bucket_owner.epoch is 'Grows whenever the owner changes.';
comment on column bucket_owner.config_seq is 'Grows with every change of the bucket''s configuration or seats.';

insert into bucket_owner (bucket) select generate_series(0, 1023);

create table bucket_seat (
    bucket smallint not null,
    region text not null,
    pops smallint[] not null,
    constraint bucket_seat_pkey primary key (bucket, region),
    constraint bucket_seat_bucket_fkey foreign key (bucket) references bucket_owner (bucket)
);

comment on table bucket_seat is 'Who votes: the PoPs seated in a region of a bucket, by number.';

grant select, update (config_seq) on bucket_owner to quorate_app;
grant select, update on bucket_owner to quorate_control;
grant select on bucket_seat to quorate_app;
grant select, insert, update, delete on bucket_seat to quorate_control;
