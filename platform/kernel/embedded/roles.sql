-- Roles of a local cluster. Promises: safe to repeat. A production cluster gets the same three from its
-- administrator (with passwords).
DO $$
BEGIN
  -- Owns every schema and table, and runs the migrations.
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'watermaster_owner') THEN
    CREATE ROLE watermaster_owner LOGIN NOSUPERUSER CREATEDB NOCREATEROLE;
  END IF;
  -- Owns nothing; holds the grants of api, console and workers.
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'watermaster_app') THEN
    CREATE ROLE watermaster_app NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
  END IF;
  -- What api, console and workers log in as.
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'watermaster_runtime') THEN
    CREATE ROLE watermaster_runtime LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE IN ROLE watermaster_app;
  END IF;
END
$$;
