-- When nothing was decided: for the operator, never a health event. Reference tables: one row, and one a gap.

create table control_pulse (
    only_row boolean not null default true,
    pulse_at timestamptz,
    constraint control_pulse_pkey primary key (only_row),
    constraint control_pulse_one_row check (only_row)
) with (fillfactor = 50);

comment on table control_pulse is 'One row: when some replica last said that it can decide.';
comment on column control_pulse.pulse_at is 'By the database''s clock; null: never yet.';

insert into control_pulse default values;

create table control_gap (
    began_at timestamptz not null,
    ended_at timestamptz not null,
    constraint control_gap_pkey primary key (began_at),
    constraint control_gap_order check (began_at < ended_at)
);

comment on table control_gap is
    'Times in which no replica could decide: none ran, none reached the database, or no worker spoke. Verdicts were kept as they were.';

grant select, update on control_pulse to quorate_control;
grant select, insert, delete on control_gap to quorate_control;
