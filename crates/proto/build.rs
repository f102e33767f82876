//! Compiles the wire between control and workers with protox: no `protoc` to install.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Asked when it runs: a moved checkout may reuse what was built elsewhere.
    let root = std::path::PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let files = protox::compile([root.join("quorate/worker/v1/worker.proto")], [&root])?;
    // Several times as large as what is sent all day.
    let rare = ".quorate.worker.v1.ControlMessage.body.probe_request";
    tonic_prost_build::configure().bytes(".").boxed(rare).compile_fds(files)?;
    Ok(())
}
