//! A folder with everything that one guard run needs: recording, key, configuration, journal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256};
use anyhow::Context;
use portcullis_range::story::{Story, StoryOptions};
use portcullis_watcher::source::decode_raw;
use portcullis_watcher::source::recording::{Entry, Recording};

/// What a configuration is written from.
#[derive(Debug)]
pub(crate) struct Scene {
    folder: Folder,
    recording: PathBuf,
    chain: String,
    chain_id: u64,
    block_time_ms: u64,
    protected: Vec<(String, Address)>,
    guardian: Address,
}

impl Scene {
    /// The scene of a recording that ships, given as text.
    pub(super) fn of_text(text: &str) -> anyhow::Result<Self> {
        let folder = Folder::create()?;
        let path = folder.path.join("vault-attack.jsonl");
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        Self::new(folder, path)
    }

    /// The scene of a recording in a file.
    pub(super) fn of_recording(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
        Self::new(Folder::create()?, path)
    }

    /// The scene of a story on a live chain.
    pub(crate) fn of_story(
        story: &Story,
        chain_id: u64,
        block_time_ms: u64,
    ) -> anyhow::Result<Self> {
        let folder = Folder::create()?;
        folder.write_key(&story.pauser.private_key())?;
        Ok(Self {
            recording: PathBuf::new(),
            chain: "local".to_owned(),
            chain_id,
            block_time_ms,
            protected: vec![("vault".to_owned(), story.vault)],
            guardian: story.guardian,
            folder,
        })
    }

    fn new(folder: Folder, path: PathBuf) -> anyhow::Result<Self> {
        let recording = Recording::open(&path)?;
        let header = recording.header();
        // The recording holds no keys. The story's own is public, and the pause is only shown.
        let story = Story::tell(&StoryOptions { chain_id: header.chain.id, ..Default::default() });
        folder.write_key(&story.pauser.private_key())?;
        let named = |wanted: &str| header.contracts.iter().find(|(_, known)| known.name == wanted);
        Ok(Self {
            folder,
            chain: header.chain.name.clone(),
            chain_id: header.chain.id,
            block_time_ms: header.chain.block_time_s * 1_000,
            protected: header
                .contracts
                .iter()
                .filter(|(_, contract)| contract.protected)
                .map(|(address, contract)| (contract.name.clone(), *address))
                .collect(),
            guardian: named("guardian").map_or(story.guardian, |(address, _)| *address),
            recording: path,
        })
    }

    /// What the recording's notes say of the transactions that follow them, by hash.
    pub(super) fn labels(&self) -> anyhow::Result<BTreeMap<B256, String>> {
        let text = std::fs::read_to_string(&self.recording)
            .with_context(|| self.recording.display().to_string())?;
        let mut labels = BTreeMap::new();
        let mut note = None;
        // The recording was read once already, so every line is sound.
        for line in text.lines().skip(1) {
            match serde_json::from_str(line)? {
                Entry::Note(entry) => note = Some(entry.text),
                Entry::Pending(entry) => {
                    if let (Some(label), Ok(tx)) = (note.take(), decode_raw(&entry.raw)) {
                        labels.insert(tx.hash, label);
                    }
                }
                _ => {}
            }
        }
        Ok(labels)
    }

    /// The recording to replay.
    pub(super) fn recording(&self) -> &Path {
        &self.recording
    }

    /// Writes an armed configuration for this scene and returns its path.
    pub(crate) fn write_config(
        &self,
        nodes: &[&str],
        without_model: bool,
        without_rules: bool,
    ) -> anyhow::Result<PathBuf> {
        let quoted: Vec<String> = nodes.iter().map(|node| format!("'{node}'")).collect();
        // A replay connects to nobody, but a chain without nodes is refused.
        let nodes =
            if nodes.is_empty() { "'ws://127.0.0.1:1'".to_owned() } else { quoted.join(", ") };
        let mut text = format!(
            "version = 1\nmode = 'armed'\n\n[[chains]]\nname = '{}'\nchain_id = {}\nblock_time_ms = {}\nnodes = [{nodes}]\n",
            self.chain, self.chain_id, self.block_time_ms
        );
        for (name, address) in &self.protected {
            text.push_str(&format!(
                "\n[[protected]]\nname = '{name}'\nchain = '{}'\naddresses = ['{address}']\n",
                self.chain
            ));
        }
        text.push_str(&format!(
            "\n[guardian]\naddress = '{}'\nkey = {{ file = 'pauser.key' }}\n\n[policy]\narm_override = 'a scene of its own'\n\n[model]\ndisabled = {without_model}\n\n\
             [rules]\nshipped = {}\n",
            self.guardian, !without_rules
        ));
        let path = self.folder.path.join("portcullis.toml");
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

/// A folder that goes with the run.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path })
    }

    fn write_key(&self, key: &str) -> anyhow::Result<()> {
        let path = self.path.join("pauser.key");
        std::fs::write(&path, key).with_context(|| path.display().to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left-overs in the temporary folder hurt nobody, and there is nobody to tell.
        std::fs::remove_dir_all(&self.path).ok();
    }
}
