//! The command that installs Postgres, per system.

use std::fmt::Write as _;

use super::wheel;

/// One line per system, each ready to copy.
pub(crate) fn commands(major: Option<u32>) -> String {
    let debian = major.map_or_else(|| "postgresql".to_owned(), |major| format!("postgresql-{major}"));
    let brew = major.unwrap_or(17);
    let lines = [
        ("Debian, Ubuntu", format!("apt-get install -y {debian}")),
        ("Fedora, RHEL", "dnf install -y postgresql-server".to_owned()),
        ("openSUSE", "zypper install -y postgresql-server".to_owned()),
        ("Alpine", "apk add postgresql".to_owned()),
        ("Arch", "pacman -S postgresql".to_owned()),
        ("macOS", format!("brew install postgresql@{brew}")),
        ("with pip", wheel::command()),
    ];
    let mut text = String::new();
    for (system, command) in lines {
        writeln!(text, "  {system:<15} {command}").expect("a String takes every write");
    }
    text
}
