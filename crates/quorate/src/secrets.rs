//! What `control` cannot do without: the token pepper, the header keys, the CA and the server's key. Made once, kept in one folder.

pub mod header_keys;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use quorate_core::ids::hex;
use quorate_store::header_secrets::HeaderSecrets;
use quorate_store::tokens::Pepper;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::failure::{Failure, OrUsage as _, Result};

/// The name that the server's certificate is for, whatever address workers dial.
pub const CONTROL_NAME: &str = "control.quorate.internal";

/// The secrets of one installation.
#[derive(Clone, Debug)]
pub struct Secrets {
    pub pepper: Pepper,
    pub headers: HeaderSecrets,
    pub tls: Tls,
}

/// The server's certificate and key, PEM.
#[derive(Clone)]
pub struct Tls {
    /// The certificate, then its CA.
    pub chain_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("chain_pem", &self.chain_pem).finish_non_exhaustive()
    }
}

impl Tls {
    /// SHA-256 of the CA's certificate, which worker tokens carry.
    pub fn ca_sha256(&self) -> anyhow::Result<[u8; 32]> {
        let chain = CertificateDer::pem_slice_iter(self.chain_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .context("the server's certificate chain is not PEM")?;
        let ca = chain.last().context("the server's certificate chain is empty")?;
        Ok(Sha256::digest(ca).into())
    }
}

/// What to do where a secret is not there: a new pepper ends every token, a new CA every worker token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Make,
    Refuse,
}

impl Missing {
    /// `what` is missing in `dir`.
    fn may_make(self, what: &str, variable: &str, dir: &Path) -> Result<()> {
        match self {
            Self::Make => Ok(()),
            Self::Refuse => Err(Failure::usage(format!(
                "there is no {what} in {}: name the folder of this installation's secrets with QUORATE_SECRETS__DIR (or {variable}); only `up`, `init` and the first start of `control` make one",
                dir.display()
            ))),
        }
    }
}

impl Secrets {
    /// Takes what the configuration gives, reads the rest from the folder, and makes there what is missing.
    pub fn load_or_make(config: &Config) -> Result<Self> {
        Ok(Self {
            pepper: pepper(config, Missing::Make)?,
            headers: header_keys::header_secrets(config, Missing::Make)?,
            tls: tls(config, Missing::Make)?,
        })
    }
}

/// Only the pepper.
///
/// # Errors
/// A usage error where it is not there and must not be made, or is no pepper.
pub fn pepper(config: &Config, missing: Missing) -> Result<Pepper> {
    let given = match (&config.secrets.token_pepper, &config.secrets.token_pepper_file) {
        (Some(text), _) => Some((text.reveal().to_owned(), "secrets.token_pepper".to_owned())),
        (None, Some(file)) => Some((read(file).or_usage()?, file.display().to_string())),
        (None, None) => None,
    };
    if let Some((text, place)) = given {
        return parse_pepper(&text).with_context(|| format!("{place} is no token pepper")).or_usage();
    }
    let dir = config.secrets_dir()?;
    let file = dir.join("token-pepper");
    if !is_there(&file)? {
        missing.may_make("token pepper", "QUORATE_SECRETS__TOKEN_PEPPER", &dir)?;
        let _lock = lock(&dir)?;
        // Another process may have made it until the lock was ours.
        if !is_there(&file)? {
            write_private(&file, &hex(&rand::random::<[u8; 32]>()))?;
        }
    }
    let text = read(&file)?;
    Ok(parse_pepper(&text).with_context(|| format!("{} is no token pepper", file.display()))?)
}

fn parse_pepper(text: &str) -> anyhow::Result<Pepper> {
    let digits = text.trim().as_bytes();
    ensure!(digits.len() == 64, "it has to be 64 hexadecimal characters and has {}", digits.len());
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).context("it has to be hexadecimal")?;
        *byte = u8::from_str_radix(pair, 16).context("it has to be hexadecimal")?;
    }
    Ok(Pepper(bytes))
}

/// Only the server's certificate and key. They are made anew under a CA that is there; `missing` is for the CA.
///
/// # Errors
/// A usage error where the CA is not there and must not be made.
pub fn tls(config: &Config, missing: Missing) -> Result<Tls> {
    if let (Some(chain), Some(key)) = (&config.secrets.tls_chain_file, &config.secrets.tls_key_file) {
        return Ok(Tls { chain_pem: read(chain).or_usage()?, key_pem: read(key).or_usage()? });
    }
    let dir = config.secrets_dir()?;
    let (chain, key) = (dir.join("control.pem"), dir.join("control.key"));
    let complete = || anyhow::Ok(is_there(&chain)? && is_there(&key)?);
    if !complete()? {
        if !is_there(&dir.join("ca.pem"))? {
            missing.may_make("CA", "QUORATE_SECRETS__TLS_CHAIN_FILE and QUORATE_SECRETS__TLS_KEY_FILE", &dir)?;
        }
        let _lock = lock(&dir)?;
        // Another process may have made them until the lock was ours.
        if !complete()? {
            let (ca_pem, ca_key) = load_or_make_ca(&dir)?;
            let made = issue(&ca_pem, ca_key).context("cannot make the server's certificate")?;
            // The key first: a chain without its key is made anew, a key without its chain as well.
            write_private(&key, &made.key_pem)?;
            write_private(&chain, &made.chain_pem)?;
        }
    }
    Ok(Tls { chain_pem: read(&chain)?, key_pem: read(&key)? })
}

fn load_or_make_ca(dir: &Path) -> anyhow::Result<(String, KeyPair)> {
    let (pem, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    match (pem.exists(), key.exists()) {
        (true, true) => {}
        (true, false) => bail!(
            "{} is there and its key {} is not: put the key back, or remove both to make a new CA, after which every worker needs a new token",
            pem.display(),
            key.display()
        ),
        (false, _) => {
            let ca = new_ca("Quorate control plane").context("cannot make the CA")?;
            write_private(&key, &ca.key().serialize_pem())?;
            write_private(&pem, &ca.pem())?;
        }
    }
    let ca_key = KeyPair::from_pem(&read(&key)?).with_context(|| format!("{} is no private key", key.display()))?;
    Ok((read(&pem)?, ca_key))
}

/// A CA that may sign certificates of servers.
pub(crate) fn new_ca(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn issue(ca_pem: &str, ca_key: KeyPair) -> Result<Tls, rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(ca_pem, ca_key)?;
    let (leaf, key) = new_leaf(&issuer, CONTROL_NAME)?;
    Ok(Tls { chain_pem: format!("{}{ca_pem}", leaf.pem()), key_pem: key.serialize_pem() })
}

/// A server's certificate for one DNS name or IP address.
pub(crate) fn new_leaf(issuer: &Issuer<'_, KeyPair>, name: &str) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let leaf = params.signed_by(&key, issuer)?;
    Ok((leaf, key))
}

/// Makes a folder that only its owner can enter; one that others can enter is corrected.
pub fn make_private_dir(dir: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).with_context(|| format!("cannot set the mode of {}", dir.display()))
}

/// Writes a file that only its owner can read, whole or not at all.
pub fn write_private(file: &Path, content: &str) -> anyhow::Result<()> {
    let what = || format!("cannot write {}", file.display());
    let mut name = file.file_name().context("a file needs a name").with_context(what)?.to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    // A left-over of another mode must not keep it.
    match fs::remove_file(&new) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(what),
    }
    let mut handle = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).with_context(what)?;
    handle.write_all(content.as_bytes()).with_context(what)?;
    handle.sync_all().with_context(what)?;
    fs::rename(&new, file).with_context(what)
}

/// Makes the folder, and keeps others out while something may be made in it: two replicas that start at once must not
/// make two peppers. Let go when dropped.
fn lock(dir: &Path) -> anyhow::Result<fs::File> {
    make_private_dir(dir)?;
    let file = dir.join("lock");
    let what = || format!("cannot lock {}", file.display());
    let handle = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&file).with_context(what)?;
    handle.lock().with_context(what)?;
    Ok(handle)
}

/// A folder that cannot be looked into is an error: what is in it must not be made a second time.
fn is_there(file: &Path) -> anyhow::Result<bool> {
    file.try_exists().with_context(|| format!("cannot look at {}", file.display()))
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecretText;

    fn config_in(dir: &Path) -> Config {
        Config { data_dir: Some(dir.to_owned()), ..Config::default() }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn secrets_are_made_once_and_only_their_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let first = Secrets::load_or_make(&config_in(dir.path())).unwrap();
        let again = Secrets::load_or_make(&config_in(dir.path())).unwrap();
        assert_eq!(first.pepper.0, again.pepper.0);
        assert_eq!(first.tls.chain_pem, again.tls.chain_pem);
        assert_eq!(first.tls.key_pem, again.tls.key_pem);
        assert!(first.headers.current().is_some());
        assert_eq!(first.headers.current(), again.headers.current());
        let secrets = dir.path().join("secrets");
        assert_eq!(mode(&secrets), 0o700);
        let files: Vec<_> = fs::read_dir(&secrets).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 7, "{files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn processes_that_start_at_once_make_one_pepper() {
        let dir = tempfile::tempdir().unwrap();
        let peppers: std::collections::HashSet<[u8; 32]> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..8).map(|_| scope.spawn(|| pepper(&config_in(dir.path()), Missing::Make).unwrap().0)).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(peppers.len(), 1);
    }

    #[test]
    fn what_may_not_be_made_is_a_usage_error_that_names_the_folder_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let config = config_in(dir.path());
        let headers = header_keys::header_secrets(&config, Missing::Refuse).map(|_| ());
        for refused in [pepper(&config, Missing::Refuse).map(|_| ()), headers, tls(&config, Missing::Refuse).map(|_| ())] {
            let failure = refused.unwrap_err();
            assert!(matches!(failure, Failure::Usage(_)), "{failure}");
            let told = failure.to_string();
            assert!(told.contains("QUORATE_SECRETS__DIR") && told.contains(&dir.path().join("secrets").display().to_string()), "{told}");
        }
        assert!(!dir.path().join("secrets").exists());
    }

    #[test]
    fn complete_secrets_are_read_without_a_write() {
        let dir = tempfile::tempdir().unwrap();
        let config = config_in(dir.path());
        let made = Secrets::load_or_make(&config).unwrap();
        let secrets = dir.path().join("secrets");
        fs::remove_file(secrets.join("lock")).unwrap();
        fs::set_permissions(&secrets, fs::Permissions::from_mode(0o500)).unwrap();
        let read = Secrets::load_or_make(&config).unwrap();
        assert_eq!(read.pepper.0, made.pepper.0);
        assert_eq!(mode(&secrets), 0o500, "the folder is as it was");
        assert!(!secrets.join("lock").exists(), "no lock is taken to read");
    }

    #[test]
    fn a_lost_server_key_is_replaced_under_the_same_ca() {
        let dir = tempfile::tempdir().unwrap();
        let ca_of = |tls: &Tls| tls.chain_pem.split("-----BEGIN CERTIFICATE-----").nth(2).unwrap().to_owned();
        let first = Secrets::load_or_make(&config_in(dir.path())).unwrap();
        fs::remove_file(dir.path().join("secrets/control.key")).unwrap();
        let second = Secrets::load_or_make(&config_in(dir.path())).unwrap();
        assert_ne!(first.tls.key_pem, second.tls.key_pem);
        assert_eq!(ca_of(&first.tls), ca_of(&second.tls));
    }

    #[test]
    fn a_ca_without_its_key_is_not_replaced_silently() {
        let dir = tempfile::tempdir().unwrap();
        Secrets::load_or_make(&config_in(dir.path())).unwrap();
        for file in ["ca.key", "control.key"] {
            fs::remove_file(dir.path().join("secrets").join(file)).unwrap();
        }
        let failure = Secrets::load_or_make(&config_in(dir.path())).unwrap_err();
        assert!(failure.to_string().contains("ca.key"), "{failure}");
    }

    #[test]
    fn a_pepper_of_the_wrong_form_is_the_operators_to_correct() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config_in(dir.path());
        for bad in ["", "abc", &"g".repeat(64), &"é".repeat(32)] {
            config.secrets.token_pepper = Some(SecretText::new(bad));
            assert_eq!(pepper(&config, Missing::Refuse).unwrap_err().exit_code(), 2, "{bad}");
        }
        config.secrets.token_pepper = Some(SecretText::new("0f".repeat(32)));
        assert_eq!(pepper(&config, Missing::Refuse).unwrap().0, [0x0f; 32]);
    }
}
