//! Where the data is.

use serde::{Deserialize, Serialize};

use super::secret_text::SecretText;

/// `[database]`. `quorate up` runs a Postgres of its own and reads none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// Postgres 15 to 18, as the login role `quorate_service`: `postgres://quorate_service:PASSWORD@HOST/quorate`.
    /// Environment: `QUORATE_DATABASE_URL`. Default: the database of `quorate up` in the data folder.
    pub url: Option<SecretText>,
    /// The same database as a role that may create roles and tables; only `migrate` and `init` use it.
    /// Environment: `QUORATE_DATABASE_ADMIN_URL`.
    pub admin_url: Option<SecretText>,
    /// The password that `migrate` and `init` give to `quorate_service`. Absent: they leave it as it is.
    /// Environment: `QUORATE_DATABASE_SERVICE_PASSWORD`.
    pub service_password: Option<SecretText>,
}

impl Database {
    pub(crate) fn check(&self, problems: &mut Vec<String>) {
        for (name, url) in [("database.url", &self.url), ("database.admin_url", &self.admin_url)] {
            let is_postgres = |url: &SecretText| ["postgres://", "postgresql://"].iter().any(|scheme| url.reveal().starts_with(scheme));
            if url.as_ref().is_some_and(|url| !is_postgres(url)) {
                problems.push(format!("{name} has to start with postgres://"));
            }
        }
    }
}
