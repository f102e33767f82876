//! Where things are.

use std::path::{Path, PathBuf};

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ stands in the workspace")
}

/// Where builds go.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    root().join(target)
}

/// A folder for files of these commands; goes with `cargo clean`.
pub(crate) fn scratch() -> PathBuf {
    target().join("xtask")
}

/// A program of the workspace, built for development.
pub(crate) fn program(name: &str) -> PathBuf {
    target().join("debug").join(name)
}
