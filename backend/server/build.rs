//! Builds the agent, which the server carries inside itself, and makes sure that there is a page to
//! embed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is there");
    build_agent(&root);
    ensure_page(&root.join("static"));
}

/// Cargo cannot yet make one package's binary a dependency of another, so it is called again, with
/// a target directory of its own: the outer call holds the lock of the usual one.
fn build_agent(root: &Path) {
    for path in [
        "backend/agent/src",
        "backend/agent/Cargo.toml",
        "backend/screen/Cargo.toml",
        "backend/screen/src",
        "backend/wire/src",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    let target = env::var("TARGET").expect("set by cargo");
    let directory = root.join("target/agent");
    let status = Command::new(env::var_os("CARGO").expect("set by cargo"))
        .current_dir(root)
        .args([
            "build",
            "--package",
            "shellport-agent",
            "--profile",
            "agent",
        ])
        .args(["--target", &target, "--locked", "--target-dir"])
        .arg(&directory)
        // Static, because it runs in images that have no C library, or another one.
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // Clippy and its like reach their compiler through these; the agent is to be built.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "the agent does not build");
    let binary = directory.join(&target).join("agent/shellport-agent");
    println!(
        "cargo::rustc-env=SHELLPORT_AGENT_BINARY={}",
        binary.display()
    );
}

/// Without the built front end the server still builds, and says what is missing.
fn ensure_page(folder: &Path) {
    println!("cargo::rerun-if-changed={}", folder.display());
    fs::create_dir_all(folder).expect("the workspace can be written");
    if !folder.join("index.html").exists() {
        println!("cargo::warning=the front end is not built; run make build for the whole");
    }
}
