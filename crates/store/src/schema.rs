//! The schema: roles and migrations. Needs an administrator's URL; nothing else does.

use crate::error::Error;

/// Creates the roles where they are missing and runs the migrations. With `service_password` the
/// login role `quorate_service` gets it.
pub async fn migrate(admin_url: &str, service_password: Option<&str>) -> Result<(), Error> {
    unimplemented!("{admin_url}{service_password:?}")
}
