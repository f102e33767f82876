//! Routes as axum has them, that remember what they are. Nothing else in this crate makes a router of its own, so no
//! route can be served without being described.

use axum::Router;
use axum::handler::Handler;
use axum::routing::MethodRouter;
use http::Method;

use super::operation::{Handled, Operation, Payload, Query};
use crate::Shared;
use crate::body::Told;

/// Paths with their methods.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    router: Router<Shared>,
    operations: Vec<(String, Operation)>,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a path; `{pool_id}` in it is a parameter.
    pub(crate) fn route(mut self, path: &str, methods: Methods) -> Self {
        self.operations.extend(methods.operations.into_iter().map(|operation| (path.to_owned(), operation)));
        Self { router: self.router.route(path, methods.router), ..self }
    }

    /// Adds the paths of `inner` below `path`.
    pub(crate) fn nest(mut self, path: &str, inner: Self) -> Self {
        self.operations.extend(inner.operations.into_iter().map(|(below, operation)| (format!("{path}{below}"), operation)));
        Self { router: self.router.nest(path, inner.router), ..self }
    }

    /// Adds the paths of another room.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.operations.extend(other.operations);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// Puts something around all of them, such as layers and a fallback.
    pub(crate) fn around(self, wrap: impl FnOnce(Router<Shared>) -> Router<Shared>) -> Self {
        Self { router: wrap(self.router), ..self }
    }

    /// What was registered, in order.
    pub(crate) fn operations(&self) -> &[(String, Operation)] {
        &self.operations
    }

    pub(crate) fn into_router(self) -> Router<Shared> {
        self.router
    }
}

/// The methods of one path.
#[derive(Debug)]
pub(crate) struct Methods {
    router: MethodRouter<Shared>,
    operations: Vec<Operation>,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $method:ident),* $(,)?) => {
        $($(#[$doc])*
        #[allow(dead_code, clippy::allow_attributes, reason = "a room begins with the method that its path begins with")]
        pub(crate) fn $name<H, M, I, O>(handler: H) -> Methods
        where
            H: Handler<M, Shared> + Handled<I, O>,
            M: 'static,
        {
            Methods { router: MethodRouter::new(), operations: Vec::new() }.$name(handler)
        })*

        impl Methods {
            $($(#[$doc])*
            pub(crate) fn $name<H, M, I, O>(mut self, handler: H) -> Self
            where
                H: Handler<M, Shared> + Handled<I, O>,
                M: 'static,
            {
                self.operations.push(H::operation(Method::$method));
                Self { router: self.router.$name(handler), ..self }
            })*
        }
    };
}

methods! {
    /// A handler of GET, and so of HEAD.
    get GET,
    /// A handler of POST.
    post POST,
    /// A handler of PUT.
    put PUT,
    /// A handler of PATCH.
    patch PATCH,
    /// A handler of DELETE.
    delete DELETE,
}

impl Methods {
    /// What may be in the body that the handler just added reads.
    pub(crate) fn reads(mut self, told: fn() -> Told) -> Self {
        self.last().payload = Payload::Described(told);
        self
    }

    /// Parameters of the query string that the handler just added reads.
    pub(crate) fn query(mut self, parameters: fn() -> Vec<Query>) -> Self {
        self.last().query.extend(parameters());
        self
    }

    /// A summary of the handler just added, where its name does not say enough.
    pub(crate) fn says(mut self, summary: &'static str) -> Self {
        self.last().summary = Some(summary);
        self
    }

    /// Name and summary of the handler just added, where it is a closure and has none.
    pub(crate) fn named(mut self, name: &'static str, summary: &'static str) -> Self {
        self.last().handler = name;
        self.says(summary)
    }

    fn last(&mut self) -> &mut Operation {
        self.operations.last_mut().expect("methods are made of at least one handler")
    }
}
