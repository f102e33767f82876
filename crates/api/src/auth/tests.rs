//! Which permission each route asks for, read off the routes themselves.

use http::Method;
use quorate_store::tokens::Permission;

use crate::openapi::Credentials;

/// Routes that any valid token may ask: they tell of the token and of what it reaches.
const ANY_TOKEN: [&str; 6] = ["accounts::list", "accounts::show", "zones::list", "zones::show", "user::show", "user::verify"];

#[test]
fn every_route_asks_for_a_permission_but_those_that_tell_of_the_token() {
    let routes = crate::routes();
    let mut open: Vec<&str> = Vec::new();
    for (path, operation) in routes.operations() {
        if operation.credentials == Credentials::None {
            assert!(!path.starts_with("/client/v4"), "{path} {operation:?} asks nobody who he is");
        } else if operation.any_of.is_empty() {
            open.push(operation.handler);
        }
    }
    open.sort_unstable();
    open.dedup();
    let mut expected = ANY_TOKEN.to_vec();
    expected.sort_unstable();
    assert_eq!(open, expected);
}

#[test]
fn no_route_lets_a_token_that_may_only_read_change_anything() {
    let reading = [Permission::MonitorsAndPoolsRead, Permission::LoadBalancersRead, Permission::AnalyticsRead];
    let routes = crate::routes();
    let changing = routes.operations().iter().filter(|(_, operation)| operation.method != Method::GET);
    let mut seen = 0;
    for (path, operation) in changing {
        assert!(
            !operation.any_of.is_empty() && !operation.any_of.iter().any(|permission| reading.contains(permission)),
            "{path} {operation:?}"
        );
        seen += 1;
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn what_is_of_the_whole_account_or_installation_asks_for_administration() {
    let routes = crate::routes();
    let administered = routes.operations().iter().filter(|(_, operation)| operation.any_of == [Permission::Admin]);
    let found: Vec<&str> = administered.map(|(_, operation)| operation.handler).collect();
    assert_eq!(found, ["audit_logs::list", "workers::list", "zones::create", "zones::delete"]);
}
