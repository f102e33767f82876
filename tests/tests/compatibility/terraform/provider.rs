//! A resource under the provider: applied, read, planned again, imported, destroyed.

use quorate_testkit::operator::Operator;
use reqwest::Method;
use serde_json::{Value, json};

use super::plan::{applied, body, differences, planned};
use super::schema::{Attribute, object};

/// A kind of resource of one version of the provider.
pub(super) struct Resource {
    pub(super) name: &'static str,
    pub(super) attributes: Vec<Attribute>,
    /// Attributes that a read leaves as they were, as the provider's own code has it.
    pub(super) not_read: &'static [&'static str],
    /// Attributes that change by themselves.
    pub(super) restless: &'static [&'static str],
}

/// A resource in a state file.
pub(super) struct Managed<'a> {
    resource: &'a Resource,
    operator: &'a Operator,
    /// Where it was made: `/zones/…/load_balancers`.
    collection: &'a str,
    pub(super) state: Value,
}

impl Resource {
    /// Makes an object of a configuration. What is planned next is nothing.
    pub(super) async fn create<'a>(&'a self, operator: &'a Operator, collection: &'a str, config: &Value) -> Managed<'a> {
        let plan = planned(&self.attributes, config, &Value::Null);
        // An object that is not there has as much in its state as is planned.
        let sent = body(&self.attributes, &plan, &plan);
        let made = operator.post(collection, &sent).await;
        assert_eq!(made.status, 200, "{} {sent:#}\n{:#}", self.name, made.body);
        let state = applied(&self.attributes, &plan, made.result(), self.name);
        let mut managed = Managed { resource: self, operator, collection, state };
        managed.is_settled(config).await;
        managed
    }
}

impl Managed<'_> {
    pub(super) fn id(&self) -> &str {
        self.state["id"].as_str().expect("an id")
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.id())
    }

    /// Makes it as another configuration has it. What is planned next is nothing.
    pub(super) async fn update(&mut self, config: &Value) {
        let Resource { name, attributes, .. } = self.resource;
        let plan = planned(attributes, config, &self.state);
        assert_ne!(plan, self.state, "{name}: nothing changes");
        let sent = body(attributes, &plan, &self.state);
        let answer = self.operator.put(&self.path(), &sent).await;
        assert_eq!(answer.status, 200, "{name} {sent:#}\n{:#}", answer.body);
        self.state = applied(attributes, &plan, answer.result(), name);
        self.is_settled(config).await;
    }

    /// A read finds what was applied, and the configuration asks for no change of it.
    pub(super) async fn is_settled(&mut self, config: &Value) {
        let Resource { name, attributes, restless, .. } = self.resource;
        let before = self.state.clone();
        self.refresh().await;
        let drift = differences(attributes, &without(restless, before), &without(restless, self.state.clone()));
        assert!(drift.is_empty(), "{name}: changed outside of the configuration {config:#}: {drift:#?}");
        let changes = differences(attributes, &self.state, &planned(attributes, config, &self.state));
        assert!(changes.is_empty(), "{name}: the plan is not empty for {config:#}: {changes:#?}");
    }

    async fn refresh(&mut self) {
        let answer = self.operator.get(&self.path()).await;
        let mut state = object(&self.resource.attributes, answer.result(), self.resource.name);
        for attribute in self.resource.not_read {
            state[*attribute] = self.state[*attribute].clone();
        }
        self.state = state;
    }

    /// Found by its id alone it is the same. What the provider does not read after an import is told apart by `besides`.
    pub(super) async fn is_found_by_import(&self, besides: &[&str]) {
        let answer = self.operator.get(&self.path()).await;
        let imported = without(besides, object(&self.resource.attributes, answer.result(), self.resource.name));
        let found = differences(&self.resource.attributes, &without(besides, self.state.clone()), &imported);
        assert!(found.is_empty(), "{}: an import differs: {found:#?}", self.resource.name);
    }

    /// Whether the state has these values.
    pub(super) fn has(&self, values: &Value) {
        for (name, value) in values.as_object().expect("attributes") {
            assert_eq!(&self.state[name], value, "{name} of {}", self.resource.name);
        }
    }

    /// Destroys it. A read of what is gone answers 404, which takes it out of the state.
    pub(super) async fn destroy(self) {
        let gone = self.operator.send(Method::DELETE, &self.path(), None).await;
        assert_eq!(gone.status, 200, "{}: {:#}", self.resource.name, gone.body);
        assert_eq!(self.operator.get(&self.path()).await.status, 404, "{} is still there", self.resource.name);
    }
}

fn without(attributes: &[&str], mut state: Value) -> Value {
    for name in attributes {
        state[*name] = json!(null);
    }
    state
}
