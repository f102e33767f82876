//! `cargo xtask sqlx`: the query cache, made by compiling the store against a database with our schema. Needs no
//! sqlx-cli, and not the store itself, which does not compile while its cache is stale.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::command::{self, cargo};
use crate::database::Database;
use crate::workspace;

const PACKAGE: &str = "quorate-store";
const PACKAGE_FOLDER: &str = "crates/store";
/// Roles come before the migrations, which run as their owner: what `quorate migrate` does.
const ROLES: &str = "crates/store/roles.sql";
const OWNER: &str = "quorate_owner";
/// The version that the cache is made with: the oldest supported, which CI has. sqlx asks the planner which columns can be
/// null, and its answer for outer joins differs between versions; so on another one those answers are not compared.
const CACHE_MAJOR: u32 = 15;

pub(crate) async fn run(check: bool) -> Result<()> {
    let database = Database::start().await?;
    let major = database.binaries.major();
    let outcome = prepare(&database).await;
    let fresh = database.stop_after(outcome).await?;
    let (mut fresh, kept) = (contents(fresh.path())?, contents(&cache())?);
    if major != CACHE_MAJOR {
        eprintln!("sqlx: Postgres {major} is not the {CACHE_MAJOR} of the cache, so which columns can be null is not compared");
        keep_where_only_nulls_differ(&mut fresh, &kept);
    }
    if fresh == kept {
        eprintln!("sqlx: the cache is fresh ({} queries)", kept.len());
        return Ok(());
    }
    if check {
        for (name, trouble) in differences(&fresh, &kept) {
            eprintln!("sqlx: {name} is {trouble}");
        }
        bail!(".sqlx/ is stale: run `cargo xtask sqlx` and commit the folder");
    }
    replace(&fresh, &kept)?;
    eprintln!("sqlx: wrote {} queries", fresh.len());
    Ok(())
}

fn cache() -> PathBuf {
    workspace::root().join(".sqlx")
}

/// Compiles the store's targets against the database, and returns the folder of what the macros wrote.
async fn prepare(database: &Database) -> Result<tempfile::TempDir> {
    migrate(database).await?;
    let scratch = workspace::scratch();
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let fresh = tempfile::tempdir_in(&scratch)?;
    // Cargo does not know that a macro would answer otherwise now; new modification times make it compile again.
    let sources = Touched::new(&workspace::root().join(PACKAGE_FOLDER))?;
    let mut check = cargo(&["check", "--quiet", "-p", PACKAGE, "--all-targets"]);
    check.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", fresh.path()).env("SQLX_TMP", &scratch);
    check.env("DATABASE_URL", database.url("quorate"));
    let outcome = command::run(check).await;
    sources.restore()?;
    outcome?;
    Ok(fresh)
}

/// Roles and migrations through `psql`, in one session that stops at the first error.
async fn migrate(database: &Database) -> Result<()> {
    let root = workspace::root();
    let mut migrations = entries(&root.join("migrations"))?;
    migrations.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    let beside = database.binaries.program("psql");
    let mut psql = Command::new(if beside.is_file() { beside } else { "psql".into() });
    psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]).arg(database.url("quorate"));
    psql.arg("--file").arg(root.join(ROLES)).arg("--command").arg(format!("set role {OWNER}"));
    for migration in migrations {
        psql.arg("--file").arg(migration);
    }
    let output = psql.stdin(Stdio::null()).output().await.context("cannot run psql, which belongs to the client tools of Postgres")?;
    if !output.status.success() {
        bail!("the migrations fail:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn keep_where_only_nulls_differ(fresh: &mut BTreeMap<String, String>, kept: &BTreeMap<String, String>) {
    for (name, text) in fresh {
        if let Some(old) = kept.get(name).filter(|old| without_nulls(old).is_some_and(|old| Some(old) == without_nulls(text))) {
            old.clone_into(text);
        }
    }
}

/// The text without its list of columns that can be null; `None` where there is no such list.
fn without_nulls(text: &str) -> Option<(&str, &str)> {
    let (before, rest) = text.split_once("\"nullable\": [")?;
    Some((before, rest.split_once(']')?.1))
}

/// What must happen to the cache, by file name.
fn differences<'a>(fresh: &'a BTreeMap<String, String>, kept: &'a BTreeMap<String, String>) -> Vec<(&'a str, &'static str)> {
    let missing = fresh.iter().filter(|(name, _)| !kept.contains_key(*name)).map(|(name, _)| (name.as_str(), "missing"));
    let changed =
        fresh.iter().filter(|(name, text)| kept.get(*name).is_some_and(|old| old != *text)).map(|(name, _)| (name.as_str(), "out of date"));
    let unused = kept.keys().filter(|name| !fresh.contains_key(*name)).map(|name| (name.as_str(), "of no query any more"));
    missing.chain(changed).chain(unused).collect()
}

fn replace(fresh: &BTreeMap<String, String>, kept: &BTreeMap<String, String>) -> Result<()> {
    let cache = cache();
    fs::create_dir_all(&cache)?;
    for (name, text) in fresh {
        fs::write(cache.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    for name in kept.keys().filter(|name| !fresh.contains_key(*name)) {
        fs::remove_file(cache.join(name)).with_context(|| format!("cannot remove {name}"))?;
    }
    Ok(())
}

/// The query files of a folder, by name; nothing where the folder is missing.
fn contents(folder: &Path) -> Result<BTreeMap<String, String>> {
    if !folder.is_dir() {
        return Ok(BTreeMap::new());
    }
    let mut found = BTreeMap::new();
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("query-") {
            // A last line break is an editor's, not the macro's.
            found.insert(name, fs::read_to_string(&path)?.trim_end().to_owned() + "\n");
        }
    }
    Ok(found)
}

/// Paths in a folder, sorted by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = read.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Source files that look changed until they are restored, so that later builds do not repeat the work.
struct Touched(Vec<(PathBuf, SystemTime)>);

impl Touched {
    fn new(folder: &Path) -> Result<Self> {
        let mut touched = Self(Vec::new());
        touched.touch(folder, SystemTime::now())?;
        Ok(touched)
    }

    fn touch(&mut self, folder: &Path, now: SystemTime) -> Result<()> {
        for path in entries(folder)? {
            if path.is_dir() {
                self.touch(&path, now)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                self.0.push((path.clone(), fs::metadata(&path)?.modified()?));
                set_modified(&path, now)?;
            }
        }
        Ok(())
    }

    fn restore(self) -> Result<()> {
        self.0.into_iter().try_for_each(|(path, modified)| set_modified(&path, modified))
    }
}

fn set_modified(path: &Path, time: SystemTime) -> Result<()> {
    let set = || File::options().append(true).open(path)?.set_modified(time);
    set().with_context(|| format!("cannot set the time of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_of_postgres_may_think_otherwise_of_nulls_and_of_nothing_else() {
        let query = |text: &str, null: &str| format!("{{\"query\": \"{text}\", \"nullable\": [\n{null}\n], \"hash\": \"h\"}}");
        let kept = BTreeMap::from([("a".to_owned(), query("x", "false")), ("b".to_owned(), query("x", "false"))]);
        let mut fresh = BTreeMap::from([("a".to_owned(), query("x", "null")), ("b".to_owned(), query("y", "null"))]);
        keep_where_only_nulls_differ(&mut fresh, &kept);
        assert_eq!(fresh["a"], kept["a"]);
        assert_eq!(fresh["b"], query("y", "null"));
    }

    #[test]
    fn the_check_names_what_is_missing_changed_and_unused() {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let fresh = map(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let kept = map(&[("b", "2"), ("c", "old"), ("d", "4")]);
        assert_eq!(differences(&fresh, &kept), [("a", "missing"), ("c", "out of date"), ("d", "of no query any more")]);
        assert_eq!(differences(&kept, &kept), []);
    }
}
