//! The keys that seal secret headers of monitors: from the configuration, or a file in the folder of the secrets.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use quorate_store::header_secrets::{HeaderKey, HeaderKeys, HeaderSecrets, Reload};

use super::{Missing, is_there, lock, read, write_private};
use crate::config::Config;
use crate::failure::{OrUsage as _, Result};

/// Where the keys are.
#[derive(Clone, Debug)]
pub enum Source {
    /// In the configuration itself: fixed until the next start.
    Given,
    /// A file that the operator gives; read again when a key is not known.
    GivenFile(PathBuf),
    /// A file of ours.
    OwnFile(PathBuf),
}

pub fn source(config: &Config) -> Result<Source> {
    Ok(match (&config.secrets.header_keys, &config.secrets.header_keys_file) {
        (Some(_), _) => Source::Given,
        (None, Some(file)) => Source::GivenFile(file.clone()),
        (None, None) => Source::OwnFile(config.secrets_dir()?.join("header-keys")),
    })
}

/// What seals and opens.
///
/// # Errors
/// A usage error where the keys are not there and must not be made, or are none.
pub fn header_secrets(config: &Config, missing: Missing) -> Result<HeaderSecrets> {
    let source = source(config)?;
    let keys = match &source {
        Source::Given => given(config).or_usage()?,
        Source::GivenFile(file) => of_file(file).or_usage()?,
        Source::OwnFile(file) => {
            if !is_there(file)? {
                let dir = config.secrets_dir()?;
                missing.may_make("header key", "QUORATE_SECRETS__HEADER_KEYS", &dir)?;
                let _lock = lock(&dir)?;
                // Another process may have made it until the lock was ours.
                if !is_there(file)? {
                    write(file, &[HeaderKey::random(&mut rand::rng())])?;
                }
            }
            of_file(file)?
        }
    };
    Ok(HeaderSecrets::new(keys, &config.secrets.header_names, reload(source)))
}

/// Changes the file of ours under its lock; `change` answers the keys from then on.
///
/// # Errors
/// A usage error where the keys are the operator's own to change.
pub fn change(config: &Config, change: impl FnOnce(Vec<HeaderKey>) -> Result<Vec<HeaderKey>>) -> Result<()> {
    let file = match source(config)? {
        Source::OwnFile(file) => file,
        Source::Given | Source::GivenFile(_) => {
            return Err(crate::failure::Failure::usage(
                "the header keys are given by the configuration (secrets.header_keys or secrets.header_keys_file): change them there, the one to use first",
            ));
        }
    };
    let _lock = lock(&config.secrets_dir()?)?;
    let keys = change(of_file(&file)?.all().to_vec())?;
    Ok(write(&file, &keys)?)
}

fn given(config: &Config) -> anyhow::Result<HeaderKeys> {
    let text = config.secrets.header_keys.as_ref().context("secrets.header_keys is not set")?;
    some(text.reveal().parse().context("secrets.header_keys is no list of header keys")?, "secrets.header_keys")
}

fn of_file(file: &std::path::Path) -> anyhow::Result<HeaderKeys> {
    let place = file.display();
    some(read(file)?.parse().with_context(|| format!("{place} is no list of header keys"))?, &place.to_string())
}

fn some(keys: HeaderKeys, place: &str) -> anyhow::Result<HeaderKeys> {
    ensure!(keys.current().is_some(), "{place} has no header key");
    Ok(keys)
}

fn write(file: &std::path::Path, keys: &[HeaderKey]) -> anyhow::Result<()> {
    let lines: Vec<String> = keys.iter().map(HeaderKey::reveal).collect();
    write_private(file, &format!("{}\n", lines.join("\n")))
}

/// A running process learns keys that came since from the file.
fn reload(source: Source) -> Option<Reload> {
    let file = match source {
        Source::Given => return None,
        Source::GivenFile(file) | Source::OwnFile(file) => file,
    };
    Some(Box::new(move || match of_file(&file) {
        Ok(keys) => Some(keys),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "the header keys cannot be read again");
            None
        }
    }))
}
