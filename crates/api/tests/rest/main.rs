//! The REST contract, seen by a client: a real server, a real database, plain HTTP.

mod audit_logs;
mod auth;
mod bodies;
mod floods;
mod health;
mod healthchecks;
mod limits;
mod load_balancers;
mod monitor_groups;
mod monitors;
mod openapi;
mod permissions;
mod pools;
mod previews;
mod quotas;
mod references;
mod regions;
mod secret_headers;
mod serving;
mod tenants;
mod workers;
mod world;
mod zones;
