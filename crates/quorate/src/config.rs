//! Configuration: flags > environment (`QUORATE_…`) > TOML file > defaults, one struct a concern.
//!
//! It is read and checked whole before anything starts; a wrong value is told with the place it came
//! from. `example.toml` beside this file names every setting; a test compares it with the structs.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use quorate_core::timings::Timings;
use serde::{Deserialize, Serialize};

pub mod accounts;
pub mod control;
pub mod database;
mod list;
pub mod log;
mod secret_text;
mod timings;
pub mod worker;

pub use secret_text::SecretText;

use crate::failure::{Failure, OrUsage as _, Result};

/// Every setting, commented, with its default.
pub const EXAMPLE: &str = include_str!("config/example.toml");

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder for everything that this machine keeps. Default: `/var/lib/quorate` as root, otherwise
    /// `$XDG_STATE_HOME/quorate` (`~/.local/state/quorate`). Environment: `QUORATE_DATA_DIR`.
    pub data_dir: Option<PathBuf>,
    /// The folder was named on the command line, which wins over an environment that names a database.
    #[serde(skip)]
    pub data_dir_by_flag: bool,
    pub database: database::Database,
    pub control: control::Control,
    pub secrets: control::Secrets,
    pub accounts: accounts::Accounts,
    pub worker: worker::Worker,
    /// The vote path's constants; see `quorate_core::timings`.
    pub timings: Timings,
    pub log: log::Log,
}

/// Environment variables with a name of their own; every other setting is `QUORATE_<SECTION>__<FIELD>`.
const NAMED_VARIABLES: [(&str, &str); 10] = [
    ("DATA_DIR", "data_dir"),
    ("DATABASE_URL", "database.url"),
    ("DATABASE_ADMIN_URL", "database.admin_url"),
    ("DATABASE_SERVICE_PASSWORD", "database.service_password"),
    ("CONTROL_URLS", "worker.control_urls"),
    ("WORKER_TOKEN", "worker.token"),
    ("WORKER_TOKEN_FILE", "worker.token_file"),
    ("WORKER_ALLOW_CIDRS", "worker.allow_cidrs"),
    ("LOG", "log.filter"),
    ("LOG_FORMAT", "log.format"),
];

/// Settings that are a text or a path.
const TEXTS: [&str; 20] = [
    "data_dir",
    "database.url",
    "database.admin_url",
    "database.service_password",
    "control.advertise_url",
    "secrets.dir",
    "secrets.token_pepper",
    "secrets.token_pepper_file",
    "secrets.header_keys",
    "secrets.header_keys_file",
    "secrets.tls_chain_file",
    "secrets.tls_key_file",
    "worker.token",
    "worker.token_file",
    "worker.data_dir",
    "worker.extra_ca_file",
    "worker.tls_min_version",
    "worker.user_agent_url",
    "log.filter",
    "log.format",
];

fn is_text(key: &str) -> bool {
    TEXTS.contains(&key)
}

/// Variables of that prefix that are not settings of this program: the file of settings itself, what
/// `up` writes for clients, and where Postgres is.
const OTHER_VARIABLES: [&str; 7] = ["CONFIG", "URL", "TOKEN", "ACCOUNT_ID", "ZONE_ID", "ZONE_NAME", "PG_BIN"];

const PREFIX: &str = "QUORATE_";

/// Values given on the command line, by their key: `control.listen`.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(&'static str, figment::value::Value)>);

impl Flags {
    /// Adds a flag that was given; `None` was not.
    #[must_use]
    pub fn with<T: Serialize>(mut self, key: &'static str, value: Option<T>) -> Self {
        if let Some(value) = value.and_then(|value| figment::value::Value::serialize(value).ok()) {
            self.0.push((key, value));
        }
        self
    }
}

impl Config {
    /// Reads and checks everything. Every problem is told at once.
    ///
    /// # Errors
    /// Always a usage error: the operator can correct it.
    pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Defaults::default()));
        if let Some(file) = file {
            // figment passes over a file that is not there, which would hide a misspelt path.
            std::fs::metadata(file).with_context(|| format!("cannot read the configuration file {}", file.display())).or_usage()?;
            figment = figment.merge(Toml::file_exact(file));
        }
        // Of a text the environment gives every character: one of digits alone is no number.
        let (texts, others) = (environment(), environment().filter(|key| !is_text(key.as_str())));
        figment = figment.merge(others);
        for (key, text) in texts.iter().filter(|(key, _)| is_text(key.as_str())) {
            figment = figment.merge((key.as_str(), text));
        }
        for (key, value) in &flags.0 {
            figment = figment.merge((*key, value.clone()));
        }
        let mut config: Self = figment.extract().map_err(|error| Failure::usage(in_one_line(error)))?;
        config.data_dir_by_flag = flags.0.iter().any(|(key, _)| *key == "data_dir");
        let problems = config.problems();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(Failure::usage(format!("the configuration is not valid: {}", problems.join("; "))))
        }
    }

    /// What is wrong although every value has the right type.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.database.check(&mut problems);
        self.control.check(&mut problems);
        self.secrets.check(&mut problems);
        self.accounts.check(&mut problems);
        self.worker.check(&mut problems);
        timings::check(&self.timings, &mut problems);
        self.log.check(&mut problems);
        problems
    }

    /// The folder for everything that this machine keeps.
    pub fn data_dir(&self) -> Result<PathBuf> {
        let dir = match &self.data_dir {
            Some(dir) => dir.clone(),
            None => default_data_dir()?,
        };
        // Sockets, Postgres and messages need a name that does not depend on the working directory.
        std::path::absolute(&dir).with_context(|| format!("the data folder {} is no path", dir.display())).or_usage()
    }

    /// The folder of the secrets of `control`.
    pub fn secrets_dir(&self) -> Result<PathBuf> {
        match &self.secrets.dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(self.data_dir()?.join("secrets")),
        }
    }
}

/// The layer below all others: empty, since each struct knows its own defaults.
#[derive(Default, Serialize)]
struct Defaults {}

fn default_data_dir() -> Result<PathBuf> {
    quorate_pg::folder::default_data()
        .ok_or_else(|| Failure::usage("neither XDG_STATE_HOME nor HOME is set: name the data folder with --data-dir"))
}

fn setting_of(name: &str) -> Option<String> {
    let named = NAMED_VARIABLES.iter().find(|(variable, _)| name.eq_ignore_ascii_case(variable)).map(|(_, key)| (*key).to_owned());
    named.or_else(|| name.contains("__").then(|| name.to_ascii_lowercase().replace("__", ".")))
}

/// A variable that is set to nothing is not set: compose writes those for what is left out.
fn environment() -> Env {
    let is_empty = |name: &str| {
        std::env::vars_os().any(|(key, value)| {
            value.is_empty() && key.to_str().and_then(|key| key.strip_prefix(PREFIX)).is_some_and(|rest| rest.eq_ignore_ascii_case(name))
        })
    };
    Env::prefixed(PREFIX).filter_map(move |name| setting_of(name.as_str()).filter(|_| !is_empty(name.as_str())).map(Into::into))
}

/// Variables that look like settings and are none: told as a warning, since others (Kubernetes, for a service of that
/// name) may set them.
pub fn unknown_variables() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.strip_prefix(PREFIX).is_some_and(|rest| setting_of(rest).is_none() && !OTHER_VARIABLES.contains(&rest)))
        .collect()
}

fn in_one_line(errors: figment::Error) -> String {
    errors.into_iter().map(|error| error.to_string()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    /// Leaves of a JSON object by their dotted path.
    fn leaves(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    leaves(value, &path, found);
                }
            }
            leaf => {
                found.insert(path.to_owned(), leaf.clone());
            }
        }
    }

    fn leaves_of(config: &Config) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        leaves(&serde_json::to_value(config).unwrap(), "", &mut found);
        found
    }

    /// The example with its settings in force: `# name = value` becomes `name = value`.
    fn uncommented() -> String {
        let is_setting =
            |line: &str| line.split_once(" = ").is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        EXAMPLE.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_example_as_it_stands_changes_nothing() {
        let read: Config = Figment::from(Toml::string(EXAMPLE)).extract().unwrap();
        assert_eq!(read, Config::default());
    }

    #[test]
    fn the_example_names_every_setting_with_its_default() {
        let named: Value = Figment::from(Toml::string(&uncommented())).extract().unwrap();
        let mut in_example = BTreeMap::new();
        leaves(&named, "", &mut in_example);
        let defaults = leaves_of(&Config::default());
        assert_eq!(in_example.keys().collect::<Vec<_>>(), defaults.keys().collect::<Vec<_>>());
        for (key, default) in defaults {
            // Null has no form in TOML: what has no default is shown with an example.
            if !default.is_null() {
                assert_eq!(in_example[&key], default, "{key}");
            }
        }
        Figment::from(Toml::string(&uncommented())).extract::<Config>().unwrap();
    }

    #[test]
    fn every_named_variable_leads_to_a_setting() {
        let defaults = leaves_of(&Config::default());
        for (variable, key) in NAMED_VARIABLES {
            assert!(defaults.contains_key(key), "{variable} leads to {key}");
        }
    }

    #[test]
    fn every_text_is_a_setting() {
        let defaults = leaves_of(&Config::default());
        for key in TEXTS {
            assert!(defaults.get(key).is_some_and(|value| value.is_null() || value.is_string()), "{key}");
        }
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let mut config = Config::default();
        config.timings.round_ms = 0;
        config.timings.replica_heartbeat_ms = 9_000;
        config.control.grpc_listen = config.control.listen;
        config.accounts.minimum_monitor_interval = 0;
        config.log.filter = "a=b=c".to_owned();
        let problems = config.problems().join("\n");
        for part in
            ["timings.round_ms", "timings.replica_heartbeat_ms (9000)", "control.grpc_listen", "minimum_monitor_interval", "log.filter"]
        {
            assert!(problems.contains(part), "{part} is missing in:\n{problems}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = Config {
            database: database::Database { url: Some(SecretText::new("postgres://u:hunter2@h/d")), ..Default::default() },
            ..Config::default()
        };
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
    }
}
