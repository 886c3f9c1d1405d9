//! The published code bases that the analyzer is measured on, fetched with npm.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Package and version, as the npm registry has them.
pub(crate) const PACKAGES: &[(&str, &str)] = &[
    ("@openzeppelin/contracts", "4.9.6"),
    ("@openzeppelin/contracts", "5.7.0"),
    ("@openzeppelin/contracts-upgradeable", "5.7.0"),
    ("@uniswap/v2-core", "1.0.1"),
    ("@uniswap/v2-periphery", "1.1.0-beta.0"),
    ("@uniswap/v3-core", "1.0.1"),
    ("@uniswap/v3-periphery", "1.4.4"),
    ("@uniswap/v4-core", "1.0.2"),
    ("@aave/core-v3", "1.19.3"),
    ("@safe-global/safe-contracts", "1.4.1"),
    ("solady", "0.1.26"),
    ("solmate", "6.8.0"),
    ("@chainlink/contracts", "1.4.0"),
    ("@balancer-labs/v2-vault", "3.0.1"),
];

/// What a package imports: package and version, and those of its dependencies that are published.
const DEPENDENCIES: &[(&str, &[(&str, &str)])] = &[
    ("@openzeppelin/contracts-upgradeable", &[("@openzeppelin/contracts", "5.7.0")]),
    ("@uniswap/v2-periphery", &[("@uniswap/v2-core", "1.0.1"), ("@uniswap/lib", "1.1.1")]),
    (
        "@uniswap/v3-periphery",
        &[
            ("@uniswap/v3-core", "1.0.1"),
            ("@uniswap/v2-core", "1.0.1"),
            ("@uniswap/lib", "4.0.1-alpha"),
            ("@openzeppelin/contracts", "3.4.2-solc-0.7"),
            ("base64-sol", "1.0.1"),
        ],
    ),
    (
        "@chainlink/contracts",
        &[
            ("@openzeppelin/contracts", "4.9.6"),
            ("@openzeppelin/contracts-upgradeable", "4.9.6"),
            ("@eth-optimism/contracts", "0.6.0"),
            ("@scroll-tech/contracts", "0.1.0"),
            ("@arbitrum/nitro-contracts", "3.0.0"),
        ],
    ),
    (
        "@balancer-labs/v2-vault",
        &[("@balancer-labs/v2-interfaces", "0.2.1"), ("@balancer-labs/v2-solidity-utils", "3.0.1")],
    ),
];

/// The folder of a package, with what it imports in its `node_modules`.
pub(crate) fn fetch_whole(folder: &Path, name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let place = fetch(folder, name, version)?;
    let imported = DEPENDENCIES.iter().find(|(package, _)| *package == name);
    for (dependency, version) in imported.into_iter().flat_map(|(_, imported)| *imported) {
        let target = place.join("node_modules").join(dependency);
        if !target.is_dir() {
            unpack(folder, dependency, version, &target)?;
        }
    }
    Ok(place)
}

/// The folder of an unpacked package. It is packed by npm and unpacked here: installing would also fetch what it
/// depends on, which for some is not published.
pub(crate) fn fetch(folder: &Path, name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let place = folder.join(format!("{name}-{version}").replace(['@', '/'], "_"));
    if !place.is_dir() {
        unpack(folder, name, version, &place)?;
    }
    Ok(place)
}

fn unpack(folder: &Path, name: &str, version: &str, place: &Path) -> anyhow::Result<()> {
    let packed = Command::new("npm")
        .args(["pack", "--silent", "--ignore-scripts", &format!("{name}@{version}")])
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .context("npm: cannot be started")?;
    ensure!(packed.status.success(), "npm pack {name}@{version} failed");
    let archive = folder.join(String::from_utf8_lossy(&packed.stdout).trim());
    let partial = place.with_extension("partial");
    std::fs::create_dir_all(&partial).with_context(|| partial.display().to_string())?;
    let unpacked = Command::new("tar")
        .arg("xf")
        .arg(&archive)
        .arg("-C")
        .arg(&partial)
        .arg("--strip-components=1")
        .status()
        .context("tar: cannot be started")?;
    ensure!(unpacked.success(), "{}: cannot be unpacked", archive.display());
    std::fs::remove_file(&archive).with_context(|| archive.display().to_string())?;
    std::fs::rename(&partial, place).with_context(|| place.display().to_string())
}
