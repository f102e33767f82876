//! What is the same for every kind of object that is made, changed and deleted.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;

/// An identifier that no object has.
pub(crate) const ABSENT: &str = "00000000000000000000000000000000";

/// A kind of object.
pub(crate) struct Kind<'a> {
    /// Where objects are made: `/accounts/…/monitors`.
    pub(crate) collection: &'a str,
    /// The least that makes one, and each documented default holds.
    pub(crate) least: Value,
    /// As much as there can be.
    pub(crate) most: Value,
    /// Fields to change.
    pub(crate) patch: Value,
    /// A body that is refused with code 1002.
    pub(crate) bad: Value,
}

impl Kind<'_> {
    /// Makes, reads, replaces, changes, lists and deletes objects of the kind, and has each refusal once.
    pub(crate) async fn walk(&self, client: &Client<'_>) {
        for body in [&self.least, &self.most] {
            let made = client.done(Method::POST, self.collection, Some(body)).await;
            let id = made["id"].as_str().expect("an id").to_owned();
            let one = format!("{}/{id}", self.collection);
            self.goes_round(client, &one, &made).await;
            let changed = client.done(Method::PATCH, &one, Some(&self.patch)).await;
            holds(&changed, &self.patch);
            self.is_listed(client, &changed).await;
            self.refusals(client, &one).await;
            client.done(Method::DELETE, &one, None).await;
            client.refused(Method::GET, &one, None, 404, 1001).await;
        }
    }

    /// What is got and put back comes back the same: every field, every digit, every time, and nothing more.
    async fn goes_round(&self, client: &Client<'_>, one: &str, made: &Value) {
        let got = client.done(Method::GET, one, None).await;
        assert_eq!(&got, made, "{one}");
        for _ in 0..2 {
            let put = client.done(Method::PUT, one, Some(&got)).await;
            assert_eq!(put, got, "{one} after a PUT of itself");
        }
        assert_eq!(client.done(Method::GET, one, None).await, got, "{one} after two");
    }

    async fn is_listed(&self, client: &Client<'_>, object: &Value) {
        let all = client.done(Method::GET, self.collection, None).await;
        assert!(all.as_array().expect("a list").contains(object), "{} lacks {object}", self.collection);
        let page = client.done(Method::GET, &format!("{}?page=1&per_page=1", self.collection), None).await;
        assert_eq!(page.as_array().expect("a list").len(), 1);
        client.refused(Method::GET, &format!("{}?per_page=0", self.collection), None, 400, 1002).await;
    }

    async fn refusals(&self, client: &Client<'_>, one: &str) {
        let absent = format!("{}/{ABSENT}", self.collection);
        client.refused(Method::POST, self.collection, Some(&self.bad), 400, 1002).await;
        client.refused(Method::PUT, one, Some(&self.bad), 400, 1002).await;
        client.refused(Method::PATCH, one, Some(&self.bad), 400, 1002).await;
        client.refused(Method::PATCH, one, Some(&json!({"no_such_field": 1})), 400, 1002).await;
        client.refused(Method::PUT, &absent, Some(&self.least), 404, 1001).await;
        client.refused(Method::PATCH, &absent, Some(&self.patch), 404, 1001).await;
        client.refused(Method::DELETE, &absent, None, 404, 1001).await;
        client.refused(Method::GET, &format!("{}/NO-ID", self.collection), None, 404, 7003).await;
    }
}

/// Whether an object has the fields of a body.
pub(crate) fn holds(object: &Value, body: &Value) {
    for (name, value) in body.as_object().expect("an object") {
        assert_eq!(&object[name], value, "{name} of {object:#}");
    }
}
