-- What a one-off probe tells beside its result: how long each phase took, and how long the certificate is still good.

alter table preview_answer
    add column phases_us jsonb,
    add column certificate_days_left integer[],
    add constraint preview_answer_phases_are_a_list check (jsonb_typeof(phases_us) = 'array');

comment on column preview_answer.phases_us is
'An origin has a list of microseconds, in the pool''s order: of resolve, connect, tls, request, headers, body, dialog, echo and '
'datagram, 0 where it was not reached. Null: not answered, or written by a release that did not tell.';
comment on column preview_answer.certificate_days_left is
'One an origin, in the pool''s order, null where no certificate was seen. Null as a whole: as phases_us.';

grant update (phases_us, certificate_days_left) on preview_answer to quorate_control;
