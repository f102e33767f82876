//! What the official Terraform provider does: each configuration of its acceptance tests is applied, read, planned again
//! without a change, changed by a PUT, found by import and destroyed.
//!
//! The provider is a program that runs nowhere near these tests; here stands what it sends and reads, after its schemas:
//! which attributes go into a body, which are filled from an answer, and when a plan is empty.

mod load_balancers;
mod monitors;
mod older;

mod plan;
mod pools;
mod provider;
mod resources;
mod schema;
mod standalone;

use quorate_testkit::operator::Operator;
use quorate_testkit::world::{Plan, World};
use serde_json::{Value, json};

use schema::object;

async fn world() -> World {
    Plan::small().build().await
}

/// A pool to name in load balancers.
async fn a_pool(operator: &Operator, name: &str) -> String {
    operator.creates_pool(&json!({"name": name, "origins": [{"name": "a", "address": "192.0.2.1"}]})).await
}

/// A data source that lists: every object has the types of its resource, and this one is among them.
async fn is_listed(operator: &Operator, resource: &provider::Resource, path: &str, state: &Value) {
    let listed = operator.get(path).await;
    let found: Vec<Value> =
        listed.result().as_array().expect("a list").iter().map(|one| object(&resource.attributes, one, resource.name)).collect();
    assert!(found.contains(state), "{path} lacks {state:#}");
}
