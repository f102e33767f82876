//! `<data-dir>/env`: all that a client needs, one `NAME=value` a line, readable by its owner only.

use std::io;
use std::path::Path;

use anyhow::Context as _;
use quorate_core::ids::{AccountId, ZoneId};

use crate::secrets::write_private;

/// What the file says.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvFile {
    /// Base of the REST API, ending in `/client/v4`.
    pub url: String,
    /// An API token, in plain text.
    pub token: String,
    pub account_id: AccountId,
    pub zone_id: ZoneId,
    pub zone_name: String,
}

impl std::fmt::Debug for EnvFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnvFile").field("url", &self.url).field("account_id", &self.account_id).finish_non_exhaustive()
    }
}

impl EnvFile {
    /// `None` where there is none, or where it lacks a line: it is made anew then.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
        Some(Self {
            url: value("QUORATE_URL")?,
            token: value("QUORATE_TOKEN")?,
            account_id: value("QUORATE_ACCOUNT_ID")?.parse().ok()?,
            zone_id: value("QUORATE_ZONE_ID")?.parse().ok()?,
            zone_name: value("QUORATE_ZONE_NAME")?,
        })
    }

    /// Writes it whole or not at all, mode 0600.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        write_private(path, &self.text())
    }

    fn text(&self) -> String {
        format!(
            "QUORATE_URL={}\nQUORATE_TOKEN={}\nQUORATE_ACCOUNT_ID={}\nQUORATE_ZONE_ID={}\nQUORATE_ZONE_NAME={}\n",
            self.url, self.token, self.account_id, self.zone_id, self.zone_name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_half_a_file_is_none() {
        let file = EnvFile {
            url: "http://127.0.0.1:8080/client/v4".to_owned(),
            token: "qrt_secret".to_owned(),
            account_id: AccountId::from_bytes([1; 16]),
            zone_id: ZoneId::from_bytes([2; 16]),
            zone_name: "example.com".to_owned(),
        };
        assert_eq!(EnvFile::parse(&file.text()), Some(file.clone()));
        let half = file.text().lines().take(3).collect::<Vec<_>>().join("\n");
        assert_eq!(EnvFile::parse(&half), None);
        assert!(!format!("{file:?}").contains("qrt_secret"));
    }
}
