-- Roles are of the whole cluster, migrations are of one database: so they are made here, beside the
-- migrations, by whoever runs them. Several may do so at once, for databases of their own: who comes
-- second waits for the first and finds the work done.
do $$
declare
    role_name text;
begin
    foreach role_name in array array['quorate_owner', 'quorate_app', 'quorate_auth', 'quorate_control', 'quorate_service'] loop
        continue when exists (select from pg_roles where rolname = role_name);
        begin
            execute format('create role %I %s', role_name, case role_name when 'quorate_service' then 'login noinherit' else 'nologin' end);
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;

    -- The login may become each role of the program and has no right of its own.
    foreach role_name in array array['quorate_app', 'quorate_auth', 'quorate_control'] loop
        continue when pg_has_role('quorate_service', role_name, 'member');
        begin
            execute format('grant %I to quorate_service', role_name);
        exception
            -- The last is "tuple concurrently updated".
            when duplicate_object or unique_violation or internal_error then null;
        end;
    end loop;

    -- Who migrates becomes the owner to do so; a superuser may without being told.
    if not (select rolsuper from pg_roles where rolname = current_user) then
        execute format('grant quorate_owner to %I', current_user);
    end if;

    execute format('grant connect, create on database %I to quorate_owner', current_database());
    execute format('grant connect on database %I to quorate_service', current_database());
    grant usage, create on schema public to quorate_owner;
    grant usage on schema public to quorate_app, quorate_auth, quorate_control;
end
$$;
