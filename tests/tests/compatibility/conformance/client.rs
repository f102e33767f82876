//! A client that holds everything it sends and hears against the descriptions.

use std::collections::BTreeSet;
use std::sync::Mutex;

use quorate_testkit::operator::Operator;
use reqwest::Method;
use serde_json::Value;

use crate::schema::Description;
use crate::vendor;

/// Answers that the vendor's document describes otherwise than its own examples and clients have them.
const VENDOR_SLIPS: [(&str, &str); 1] =
    [("/pools/{pool_id}/health", "the schema has one place with one origin, every example and client a map of places")];

pub(crate) struct Client<'a> {
    pub(crate) operator: &'a Operator,
    ours: Description,
    vendors: Option<Description>,
    asked: Mutex<BTreeSet<String>>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(operator: &'a Operator) -> Self {
        let vendors = vendor::document().map(Description::vendors);
        Self { operator, ours: Description::ours(), vendors, asked: Mutex::default() }
    }

    /// A request that succeeds; answers its result.
    pub(crate) async fn done(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.send(method.clone(), path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer:#}");
        if let Some(body) = body {
            let operation = self.operation(&method, path);
            let wrong = self.ours.of_request(&operation, body);
            assert!(wrong.is_empty(), "{operation} took what its description refuses: {wrong:#?}\n{body:#}");
        }
        answer["result"].clone()
    }

    /// A request that is refused with this status and code.
    pub(crate) async fn refused(&self, method: Method, path: &str, body: Option<&Value>, status: u16, code: u64) {
        let (found, answer) = self.send(method.clone(), path, body).await;
        assert_eq!((found, answer["errors"][0]["code"].as_u64()), (status, Some(code)), "{method} {path}: {answer:#}");
    }

    /// A request that is refused with this status.
    pub(crate) async fn refused_with_status(&self, method: Method, path: &str, body: Option<&Value>, status: u16) {
        let (found, answer) = self.send(method.clone(), path, body).await;
        assert_eq!(found, status, "{method} {path}: {answer:#}");
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let operation = self.operation(&method, path);
        let answer = self.operator.send(method, path, body).await;
        let wrong = self.ours.of_answer(&operation, answer.status, &answer.body);
        assert!(wrong.is_empty(), "{operation} answers otherwise than we describe: {wrong:#?}\n{:#}", answer.body);
        if answer.status == 200 {
            self.holds_for_the_vendor(&operation, &answer.body);
            self.asked.lock().expect("nobody panics with the lock").insert(operation);
        }
        (answer.status, answer.body)
    }

    /// Successes alone: the vendor describes a refusal as a success and a failure at once, which nothing is.
    fn holds_for_the_vendor(&self, operation: &str, body: &Value) {
        let Some(vendors) = &self.vendors else { return };
        if !vendors.operations().iter().any(|known| known == operation) || VENDOR_SLIPS.iter().any(|(end, _)| operation.ends_with(end)) {
            return;
        }
        let mut wrong = vendors.of_answer(operation, 200, body);
        // Unknown is not down: docs/compatibility.md, last table.
        wrong.retain(|problem| !problem.ends_with("/healthy: null is not of type \"boolean\""));
        assert!(wrong.is_empty(), "{operation} answers otherwise than the vendor describes: {wrong:#?}\n{body:#}");
    }

    fn operation(&self, method: &Method, path: &str) -> String {
        self.ours.operation(method.as_str(), path).unwrap_or_else(|| panic!("{method} {path} is not described"))
    }

    /// Fails where an operation was never asked with success.
    pub(crate) fn asked_everything(&self) {
        let asked = self.asked.lock().expect("nobody panics with the lock");
        let missing: Vec<String> = self.ours.operations().into_iter().filter(|operation| !asked.contains(operation)).collect();
        assert!(missing.is_empty(), "never asked with success; add them to `rooms`: {missing:#?}");
    }
}
