-- A role and a database for each service: `mlflow` and `optuna` own theirs, `dashboard` only reads Optuna's studies.
-- It runs once, on a new volume; run again, it sets the passwords of the environment. docs/cluster.md says when.
\set ON_ERROR_STOP on
\getenv admin_password POSTGRES_PASSWORD
\getenv mlflow_password POSTGRES_MLFLOW_PASSWORD
\getenv optuna_password POSTGRES_OPTUNA_PASSWORD
\getenv dashboard_password POSTGRES_DASHBOARD_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['mlflow', 'optuna', 'dashboard']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE CURRENT_USER PASSWORD :'admin_password';
ALTER ROLE mlflow PASSWORD :'mlflow_password';
ALTER ROLE optuna PASSWORD :'optuna_password';
ALTER ROLE dashboard PASSWORD :'dashboard_password';
ALTER ROLE dashboard SET default_transaction_read_only = on;

SELECT format('CREATE DATABASE %I', name) FROM unnest(ARRAY['mlflow', 'optuna']) AS name
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec
ALTER DATABASE mlflow OWNER TO mlflow;
ALTER DATABASE optuna OWNER TO optuna;
REVOKE ALL ON DATABASE mlflow, optuna, postgres, template1 FROM PUBLIC; -- by default, every role may connect to each
GRANT CONNECT ON DATABASE optuna TO dashboard;

\connect optuna
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO dashboard;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO dashboard;
ALTER DEFAULT PRIVILEGES FOR ROLE optuna IN SCHEMA public GRANT SELECT ON TABLES TO dashboard;
