//! Rules of the workspace that no compiler checks: which crate may know which, and how each crate opens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use serde::Deserialize;

/// The only edges between crates of the workspace. A new one is a decision about the architecture: see the README first.
const EDGES: [(&str, &str); 11] = [
    ("reveille", "reveille-backends"),
    ("reveille", "reveille-queue"),
    ("reveille", "reveille-sandbox"),
    ("reveille", "reveille-transports"),
    ("reveille", "reveille-vault"),
    ("reveille", "reveille-web-ui"),
    ("reveille-backends", "reveille-sandbox"),
    ("reveille-fuzz", "reveille"),
    ("reveille-fuzz", "reveille-backends"),
    ("reveille-fuzz", "reveille-sandbox"),
    ("reveille-fuzz", "reveille-vault"),
];

#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    /// Normal, build and dev dependencies alike.
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: String,
}

fn workspace() -> Result<Workspace> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let output = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("run cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn crates_depend_on_each_other_only_as_allowed() -> Result<()> {
    let workspace = workspace()?;
    let members: BTreeSet<_> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let mut edges = BTreeSet::new();
    for package in &workspace.packages {
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| members.contains(dependency.name.as_str()))
        {
            edges.insert((package.name.as_str(), dependency.name.as_str()));
        }
    }
    assert_eq!(edges, BTreeSet::from(EDGES));
    Ok(())
}

/// Where unsafe code may be, in the one place that says why; the second attacks the first.
const SHIM: [&str; 2] = ["reveille_sandbox", "reveille-sandbox-attacker"];

#[test]
fn unsafe_code_is_in_the_shim_alone() -> Result<()> {
    let mut found = Vec::new();
    for package in &workspace()?.packages {
        for target in package.targets.iter().filter(|target| target.name == SHIM[0]) {
            let root = Path::new(&target.src_path)
                .parent()
                .context("a crate is in a directory")?;
            let mut dirs = vec![root.to_owned()];
            while let Some(dir) = dirs.pop() {
                for entry in std::fs::read_dir(dir)? {
                    let path = entry?.path();
                    if path.is_dir() {
                        dirs.push(path);
                    } else if path.extension().is_some_and(|kind| kind == "rs")
                        && std::fs::read_to_string(&path)?.contains("unsafe {")
                    {
                        found.push(path.strip_prefix(root)?.to_owned());
                    }
                }
            }
        }
    }
    found.sort();
    assert_eq!(found, [Path::new("shim/init.rs")]);
    Ok(())
}

#[test]
fn every_crate_opens_with_its_purpose_and_forbids_unsafe_code() -> Result<()> {
    let mut wrong = BTreeMap::new();
    for target in workspace()?.packages.iter().flat_map(|package| &package.targets) {
        // Integration tests, examples and build scripts are small and checked by the lint alone.
        if !target.kind.iter().any(|kind| kind == "lib" || kind == "bin") {
            continue;
        }
        let source = std::fs::read_to_string(Path::new(&target.src_path))?;
        let mut lacks = Vec::new();
        if !source.starts_with("//! ") {
            lacks.push("a first line that begins with //! and says what the crate is for");
        }
        let unsafe_code = if SHIM.contains(&target.name.as_str()) {
            "#![deny(unsafe_code)]"
        } else {
            "#![forbid(unsafe_code)]"
        };
        if !source.lines().any(|line| line == unsafe_code) {
            lacks.push(unsafe_code);
        }
        if !lacks.is_empty() {
            wrong.insert(format!("{} ({})", target.name, target.src_path), lacks);
        }
    }
    assert_eq!(wrong, BTreeMap::new());
    Ok(())
}
