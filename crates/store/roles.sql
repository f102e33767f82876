-- Roles are of the whole cluster, migrations are of one database: so they are made here, beside the
-- migrations, by whoever runs them. Several may do so at once (each test has a database of its own).
do $$
declare
    role_name text;
begin
    perform pg_advisory_xact_lock(7310034);
    foreach role_name in array array['quorate_owner', 'quorate_app', 'quorate_auth', 'quorate_control'] loop
        begin
            if not exists (select from pg_roles where rolname = role_name) then
                execute format('create role %I nologin', role_name);
            end if;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
    begin
        if not exists (select from pg_roles where rolname = 'quorate_service') then
            create role quorate_service login noinherit;
        end if;
    exception
        when duplicate_object or unique_violation then null;
    end;

    -- The login may become each role of the program and has no right of its own.
    foreach role_name in array array['quorate_app', 'quorate_auth', 'quorate_control'] loop
        if not pg_has_role('quorate_service', role_name, 'member') then
            execute format('grant %I to quorate_service', role_name);
        end if;
    end loop;
    -- Who migrates becomes the owner to do so.
    if not pg_has_role(current_user, 'quorate_owner', 'member') then
        execute format('grant quorate_owner to %I', current_user);
    end if;

    execute format('grant connect, create on database %I to quorate_owner', current_database());
    execute format('grant connect on database %I to quorate_service', current_database());
    grant usage, create on schema public to quorate_owner;
    grant usage on schema public to quorate_app, quorate_auth, quorate_control;
end
$$;
