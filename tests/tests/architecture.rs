//! The arrows between the crates are the architecture (ARCHITECTURE.md draws them). This fails on one that is not drawn.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// What ships, and what each may use; development dependencies count too.
const ARROWS: [(&str, &[&str]); 8] = [
    ("quorate-core", &[]),
    ("quorate-proto", &["quorate-core"]),
    ("quorate-store", &["quorate-core"]),
    ("quorate-control", &["quorate-core", "quorate-proto", "quorate-store"]),
    ("quorate-api", &["quorate-core", "quorate-store"]),
    ("quorate-pg", &[]),
    ("quorate-worker", &["quorate-core", "quorate-proto"]),
    ("quorate", &["quorate-core", "quorate-proto", "quorate-store", "quorate-control", "quorate-api", "quorate-pg", "quorate-worker"]),
];

/// What does not ship. It may use everything that does, and nothing that ships may use it.
const NEVER_SHIPPED: [&str; 5] = ["quorate-testkit", "quorate-tests", "quorate-model", "quorate-bench", "xtask"];

/// The model checks the functions of the core and must not reach further.
const MODEL_MAY_USE: [&str; 1] = ["quorate-core"];

/// Libraries with one home, and the shipped crates that are it. What only tests use is not shipped.
const HOMES: [(&str, &[&str]); 6] = [
    ("sqlx", &["quorate-store"]),
    ("jiff-sqlx", &["quorate-store"]),
    ("openssl", &["quorate-worker"]),
    ("tokio-openssl", &["quorate-worker"]),
    ("axum", &["quorate-api", "quorate"]),
    ("anyhow", &["quorate"]),
];

/// Whoever does I/O stands on one of these, so the core must not reach them even through others.
const IO: [&str; 12] = [
    "tokio",
    "mio",
    "async-io",
    "socket2",
    "rustix",
    "hyper",
    "tonic",
    "sqlx-core",
    "openssl-sys",
    "rustls",
    "hickory-resolver",
    "reqwest",
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo describes the workspace")
}

/// Each package of the workspace, and the names that its manifest depends on in any way.
fn manifests(metadata: &Metadata) -> BTreeMap<&str, BTreeSet<&str>> {
    dependencies(metadata, &[DependencyKind::Normal, DependencyKind::Build, DependencyKind::Development])
}

/// Each package of the workspace, and the names that its manifest depends on in these ways.
fn dependencies<'a>(metadata: &'a Metadata, kinds: &[DependencyKind]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let needs = |package: &'a cargo_metadata::Package| {
        package.dependencies.iter().filter(|needed| kinds.contains(&needed.kind)).map(|needed| needed.name.as_str()).collect()
    };
    metadata.workspace_packages().into_iter().map(|package| (package.name.as_str(), needs(package))).collect()
}

fn allowed(package: &str) -> Option<&'static [&'static str]> {
    ARROWS.iter().find(|(name, _)| *name == package).map(|(_, allowed)| *allowed)
}

#[test]
fn every_package_has_its_place() {
    let metadata = metadata();
    let known = |name: &str| allowed(name).is_some() || NEVER_SHIPPED.contains(&name);
    let strangers: Vec<&str> = manifests(&metadata).into_keys().filter(|name| !known(name)).collect();
    assert!(strangers.is_empty(), "{strangers:?} must be drawn in ARCHITECTURE.md and entered here");
}

#[test]
fn only_the_drawn_arrows_exist() {
    let metadata = metadata();
    let manifests = manifests(&metadata);
    let mut wrong = Vec::new();
    for (package, needs) in &manifests {
        let of_ours = needs.iter().filter(|name| manifests.contains_key(*name));
        let may = |name: &str| match allowed(package) {
            Some(allowed) => allowed.contains(&name),
            None if *package == "quorate-model" => MODEL_MAY_USE.contains(&name),
            None => true,
        };
        wrong.extend(of_ours.filter(|name| !may(name)).map(|name| format!("{package} → {name}")));
    }
    assert!(wrong.is_empty(), "arrows that nobody drew: {wrong:?}");
}

#[test]
fn libraries_with_one_home_stay_there() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    let shipped = dependencies(&metadata, &[DependencyKind::Normal, DependencyKind::Build]);
    for (package, needs) in shipped.into_iter().filter(|(name, _)| allowed(name).is_some()) {
        for (library, homes) in HOMES {
            if needs.contains(library) && !homes.contains(&package) {
                wrong.push(format!("{package} → {library}, whose home is {homes:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_core_cannot_do_io() {
    let metadata = metadata();
    let reached = reached_from(&metadata, "quorate-core");
    let io: Vec<&str> = IO.into_iter().filter(|library| reached.contains(library)).collect();
    assert!(io.is_empty(), "the core reaches {io:?}");
    // The same walk does find them where they are.
    assert!(reached_from(&metadata, "quorate-store").contains("tokio"));
}

/// Names of all packages that `start` is built from on this machine, itself included.
fn reached_from<'a>(metadata: &'a Metadata, start: &str) -> BTreeSet<&'a str> {
    let resolve = metadata.resolve.as_ref().expect("it was resolved");
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut open: Vec<&PackageId> =
        metadata.packages.iter().filter(|package| package.name.as_str() == start).map(|package| &package.id).collect();
    assert_eq!(open.len(), 1, "{start} is one package");
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            let linked = |kinds: &[cargo_metadata::DepKindInfo]| kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            open.extend(nodes[id].deps.iter().filter(|dep| linked(&dep.dep_kinds)).map(|dep| &dep.pkg));
        }
    }
    metadata.packages.iter().filter(|package| seen.contains(&package.id)).map(|package| package.name.as_str()).collect()
}
