-- Roles of a local cluster. Promises: safe to repeat. A production cluster gets the same ones from its
-- administrator (with passwords for the two that log in).
DO $$
BEGIN
  -- Owns every schema and table, and runs the migrations.
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'watermaster_owner') THEN
    CREATE ROLE watermaster_owner LOGIN NOSUPERUSER CREATEDB;
  END IF;
  -- It makes a role with each tenant's schema. This lets it change the roles that it made itself, and no others.
  ALTER ROLE watermaster_owner CREATEROLE;
  -- Owns nothing; holds the grants of api, console and workers in the shared schema.
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'watermaster_app') THEN
    CREATE ROLE watermaster_app NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
  END IF;
  -- What each tenant's role may do in the shared schema.
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'watermaster_tenant') THEN
    CREATE ROLE watermaster_tenant NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
  END IF;
  GRANT watermaster_tenant TO watermaster_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
  -- Reads some tables of every tenant. Who wants to must take it on: nothing of it is inherited.
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'watermaster_across') THEN
    CREATE ROLE watermaster_across NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
  END IF;
  GRANT watermaster_across TO watermaster_app WITH INHERIT FALSE, SET TRUE;
  -- What api, console and workers log in as.
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'watermaster_runtime') THEN
    CREATE ROLE watermaster_runtime LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE IN ROLE watermaster_app;
  END IF;
END
$$;
