-- Load balancers of an account itself, beside those of its zones.

alter table load_balancer alter column zone_id drop not null;
comment on column load_balancer.zone_id is 'Null: of the account itself, in no zone.';

-- The account itself is one more place in which a name is unique.
alter table load_balancer drop constraint load_balancer_name_key;
alter table load_balancer add constraint load_balancer_name_key unique nulls not distinct (account_id, zone_id, name);

comment on column load_balancer.name is 'Host name, in the zone where there is one.';
