//! docker-compose.yml as this test understands it. A key that it does not know is an error, so that nothing in the file
//! goes untested by accident.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Debug, Deserialize)]
pub(crate) struct Compose {
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) networks: BTreeMap<String, Network>,
    pub(crate) volumes: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) image: String,
    /// Absent: somebody else's image.
    pub(crate) build: Option<IgnoredAny>,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) depends_on: BTreeMap<String, Dependency>,
    pub(crate) healthcheck: HealthCheck,
    #[serde(default)]
    pub(crate) volumes: Vec<String>,
    pub(crate) networks: Attachments,
    #[serde(default)]
    pub(crate) ports: Vec<String>,
    // What only a container engine can show.
    #[serde(rename = "init")]
    _init: Option<bool>,
    #[serde(rename = "read_only")]
    _read_only: Option<bool>,
    #[serde(rename = "cap_drop")]
    _cap_drop: Option<Vec<String>>,
    #[serde(rename = "security_opt")]
    _security_opt: Option<Vec<String>>,
    #[serde(rename = "restart")]
    _restart: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dependency {
    pub(crate) condition: Condition,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) enum Condition {
    #[serde(rename = "service_started")]
    Started,
    #[serde(rename = "service_healthy")]
    Healthy,
    #[serde(rename = "service_completed_successfully")]
    CompletedSuccessfully,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthCheck {
    #[serde(default)]
    pub(crate) test: Vec<String>,
    #[serde(default)]
    pub(crate) disable: bool,
    #[serde(rename = "interval")]
    _interval: Option<String>,
    #[serde(rename = "timeout")]
    _timeout: Option<String>,
    #[serde(rename = "start_period")]
    _start_period: Option<String>,
    #[serde(rename = "retries")]
    _retries: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Attachments {
    Plain(Vec<String>),
    Named(BTreeMap<String, Attachment>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attachment {
    pub(crate) aliases: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    #[serde(default)]
    ipam: Ipam,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ipam {
    config: Vec<Subnet>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subnet {
    subnet: String,
}

impl Compose {
    /// The file of the repository, as an engine sees it without any variable set.
    pub(crate) fn read() -> Self {
        let text = read("docker-compose.yml");
        // First to plain values: an untagged enum cannot be read from a stream.
        let value: serde_json::Value = serde_saphyr::from_str(&with_defaults(&text)).expect("docker-compose.yml is YAML");
        serde_json::from_value(value).expect("docker-compose.yml holds only what this test knows")
    }
}

impl Service {
    pub(crate) fn is_ours(&self) -> bool {
        self.build.is_some()
    }

    /// Networks, and the names by which others on it find this service beside its own.
    pub(crate) fn attachments(&self) -> BTreeMap<&str, &[String]> {
        match &self.networks {
            Attachments::Plain(names) => names.iter().map(|name| (name.as_str(), [].as_slice())).collect(),
            Attachments::Named(map) => map.iter().map(|(name, attachment)| (name.as_str(), attachment.aliases.as_slice())).collect(),
        }
    }
}

impl Network {
    pub(crate) fn subnet(&self) -> Option<&str> {
        self.ipam.config.first().map(|config| config.subnet.as_str())
    }
}

/// The variables that the image itself sets: `ENV NAME=value` in the Dockerfile.
pub(crate) fn image_environment() -> BTreeMap<String, String> {
    let text = read("Dockerfile");
    let settings = text.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

/// `${NAME:-default}` becomes its default; no other form is in use.
fn with_defaults(text: &str) -> String {
    let mut parts = text.split("${");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (variable, rest) = part.split_once('}').expect("a variable ends");
        let (_, default) = variable.split_once(":-").unwrap_or_else(|| panic!("${{{variable}}} has no default"));
        plain.push_str(default);
        plain.push_str(rest);
    }
    plain
}

#[test]
fn only_defaults_are_left_of_variables() {
    assert_eq!(with_defaults("a: ${X:-1}:${Y:-b c}/\n"), "a: 1:b c/\n");
}
