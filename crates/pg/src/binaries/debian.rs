//! Debian's and Ubuntu's package, when we are root.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::{MAJOR_MAX, MAJOR_MIN, on_path};
use crate::error::Error;

const CREATECLUSTER: &str = "/etc/postgresql-common/createcluster.conf";
const NO_CLUSTER: &str = "create_main_cluster = false";

pub(super) fn present() -> bool {
    on_path("apt-get") && on_path("dpkg")
}

/// Installs the server's package, without the cluster on port 5432 that it would otherwise make and start.
pub(super) async fn install(major: Option<u32>, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<(), Error> {
    let package = major.map_or_else(|| "postgresql".to_owned(), |major| format!("postgresql-{major}"));
    if candidate(&package).await?.is_none() {
        progress("reading the package lists (apt-get update)");
        apt(&["update"]).await?;
    }
    let Some(offered) = candidate(&package).await? else {
        return Err(Error::Failed { program: format!("apt-get install {package}"), output: "there is no such package here".to_owned() });
    };
    if !(MAJOR_MIN..=MAJOR_MAX).contains(&offered) {
        let output = format!("this release offers Postgres {offered}; supported are {MAJOR_MIN} to {MAJOR_MAX}");
        return Err(Error::Failed { program: format!("apt-get install {package}"), output });
    }
    progress(&format!("installing Postgres {offered} (apt-get install {package})"));
    forbid_main_cluster(Path::new(CREATECLUSTER))?;
    // --force-confold: the package brings its own createcluster.conf, and ours must stand when its scripts read it.
    apt(&["install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", &package]).await
}

/// Tells postgresql-common not to make a cluster of its own. An administrator's other settings stay.
fn forbid_main_cluster(file: &Path) -> Result<(), Error> {
    let before = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(other) => return Err(Error::io("read", file)(other)),
    };
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    fs::write(file, without_main_cluster(&before)).map_err(Error::io("write", file))
}

fn without_main_cluster(before: &str) -> String {
    let is_setting =
        |line: &&str| line.trim_start().strip_prefix("create_main_cluster").is_some_and(|rest| rest.trim_start().starts_with('='));
    let mut text = String::new();
    for line in before.lines().filter(|line| !is_setting(line)) {
        text.push_str(line);
        text.push('\n');
    }
    let ours = "# Quorate runs a private server of its own, so installing Postgres need not start another one.\n";
    if !text.contains(ours) {
        text.push_str(ours);
    }
    text.push_str(NO_CLUSTER);
    text.push('\n');
    text
}

/// The major version that `apt-get install PACKAGE` would bring.
async fn candidate(package: &str) -> Result<Option<u32>, Error> {
    let output = Command::new("apt-cache").args(["policy", package]).env("LC_ALL", "C").stdin(Stdio::null()).output().await;
    let output = output.map_err(Error::io("run", "apt-cache"))?;
    Ok(parse_candidate(&String::from_utf8_lossy(&output.stdout)))
}

/// Of `  Candidate: 15+248` or `  Candidate: 15.20-0+deb12u1`.
fn parse_candidate(policy: &str) -> Option<u32> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"))?.trim();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

async fn apt(arguments: &[&str]) -> Result<(), Error> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .await;
    let output = output.map_err(Error::io("run", "apt-get"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Failed { program: format!("apt-get {}", arguments.join(" ")), output: text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offered_version_is_read_from_apt() {
        assert_eq!(parse_candidate("postgresql:\n  Installed: (none)\n  Candidate: 15+248\n  Version table:\n"), Some(15));
        assert_eq!(parse_candidate("postgresql-15:\n  Installed: (none)\n  Candidate: 15.20-0+deb12u1\n"), Some(15));
        assert_eq!(parse_candidate("postgresql:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(parse_candidate(""), None);
    }

    #[test]
    fn installing_never_starts_a_second_cluster_and_keeps_the_administrators_settings() {
        let text = without_main_cluster("# mine\ncreate_main_cluster = true\n#create_main_cluster = true\nssl = on\n");
        assert!(text.starts_with("# mine\n#create_main_cluster = true\nssl = on\n"), "{text}");
        assert!(text.ends_with("\ncreate_main_cluster = false\n"), "{text}");
        assert_eq!(without_main_cluster(&text), text, "a second time changes nothing");
    }
}
