#!/bin/sh
# Run once by the PostgreSQL image when its data folder is empty: the roles, their passwords, the database.
set -eu
psql --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres --file=/roles.sql
# As psql variables and quoted by it: a password is never part of a statement's text here.
psql --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres \
  --set=owner_password="$OWNER_PASSWORD" --set=runtime_password="$RUNTIME_PASSWORD" <<'SQL'
ALTER ROLE watermaster_owner PASSWORD :'owner_password';
ALTER ROLE watermaster_runtime PASSWORD :'runtime_password';
CREATE DATABASE watermaster OWNER watermaster_owner;
SQL
