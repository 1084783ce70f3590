-- Prepares one database for the roles of `kernel/embedded/roles.sql`; the owner runs it before every
-- migration. Promises: safe to repeat. Locks: catalog rows only.
DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'watermaster_app') THEN
    CREATE ROLE watermaster_app NOLOGIN;
  END IF;
  IF NOT (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    RAISE EXCEPTION 'The owner''s login % makes a role with each tenant and may not: let an administrator run ALTER ROLE % CREATEROLE',
      current_user, quote_ident(current_user);
  END IF;
  -- Tenants' roles get from it what each of them may do in the shared schema.
  IF to_regrole('watermaster_tenant') IS NULL THEN
    CREATE ROLE watermaster_tenant NOLOGIN;
  END IF;
  -- Reads some tables of every tenant. Sessions that want to must say so each time: they inherit nothing of it.
  IF to_regrole('watermaster_across') IS NULL THEN
    CREATE ROLE watermaster_across NOLOGIN;
    GRANT watermaster_across TO watermaster_app WITH INHERIT FALSE, SET TRUE;
  END IF;
  -- With one login for everything, that login must be able to step down to the role of the processes.
  IF current_setting('is_superuser') = 'off' AND current_user <> 'watermaster_owner'
     AND NOT pg_has_role(current_user, 'watermaster_app', 'SET') THEN
    EXECUTE format('GRANT watermaster_app TO %I WITH SET TRUE', current_user);
  END IF;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO watermaster_app', current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO watermaster_app, watermaster_tenant;
-- What migrations make in the shared schema can be read at once, and nothing else: what the processes write there, the
-- migrations of each app grant. Tenant schemas get explicit grants from their template.
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE INSERT, UPDATE, DELETE ON TABLES FROM watermaster_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO watermaster_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO watermaster_app;

CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public;
