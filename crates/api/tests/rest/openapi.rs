//! The description of the API, held against the API that is served.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::world::World;

/// Methods by path, as the document has them.
fn documented(document: &Value) -> Vec<(String, BTreeSet<String>)> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .map(|(path, item)| (path.clone(), item.as_object().expect("methods").keys().map(|method| method.to_uppercase()).collect()))
        .collect()
}

/// A path with an identifier wherever it asks for one.
fn concrete(path: &str) -> String {
    let step = |step: &str| match step {
        "{region_id}" => "WEU".to_owned(),
        _ if step.starts_with('{') => "0".repeat(32),
        _ => step.to_owned(),
    };
    path.split('/').map(step).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_documented_path_is_served_with_exactly_its_methods() {
    let world = World::start().await;
    let document = world.send_raw("GET", "/openapi.json", &[], "").await;
    assert_eq!((document.status, &document.headers["content-type"]), (200, &"application/json".parse().expect("a value")));
    assert_eq!(document.body["openapi"], "3.1.1");
    let paths = documented(&document.body);
    assert!(paths.iter().any(|(path, _)| path == "/client/v4/accounts/{account_id}/load_balancers/pools"), "{paths:?}");
    for (path, methods) in paths {
        // A method that no route has is answered with those that it has.
        let asked = world.send_raw("PROPFIND", &concrete(&path), &[], "").await;
        assert_eq!(asked.status, 405, "{path} is not served: {}", asked.text);
        let allowed = asked.headers["allow"].to_str().expect("a text");
        let served: BTreeSet<String> = allowed.split(',').filter(|method| *method != "HEAD").map(str::to_owned).collect();
        assert_eq!(served, methods, "{path}");
    }
    world.end().await;
}

#[tokio::test]
async fn the_page_shows_every_operation_and_needs_nothing_from_elsewhere() {
    let world = World::start().await;
    let document = world.send_raw("GET", "/openapi.json", &[], "").await.body;
    let page = world.send_raw("GET", "/docs", &[], "").await;
    assert_eq!((page.status, &page.headers["content-type"]), (200, &"text/html; charset=utf-8".parse().expect("a value")));
    assert_eq!(page.headers["content-security-policy"], "default-src 'none'; style-src 'unsafe-inline'");
    for (path, methods) in documented(&document) {
        for method in methods {
            let operation = &document["paths"][&path][method.to_lowercase()];
            let id = operation["operationId"].as_str().expect("an id");
            assert!(page.text.contains(&format!("<article id=\"{id}\">")), "{id}");
        }
        assert!(page.text.contains(&path), "{path}");
    }
    for outside in ["src=", "http://", "https://", "@import", "<script"] {
        assert!(!page.text.contains(outside), "the page holds {outside}");
    }
    world.end().await;
}
