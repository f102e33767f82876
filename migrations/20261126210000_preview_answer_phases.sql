-- What a one-off probe tells beside its result: how long each phase took, and how long the certificate is still good.

alter table preview_answer
    add column phases_us jsonb,
    add column certificate_days_left integer[],
    add constraint preview_answer_phases_are_a_list check (jsonb_typeof(phases_us) = 'array');

comment on column preview_answer.phases_us is
'A list of microseconds an origin, in the pool''s order: one number a phase, 0 where it was not reached.';
comment on column preview_answer.certificate_days_left is 'One an origin, in the pool''s order; null where no certificate was seen.';

grant update (phases_us, certificate_days_left) on preview_answer to quorate_control;
