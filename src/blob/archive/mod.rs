//! A bundle's archive, read without trusting it.
//!
//! [`Archive::open`] reads the directory and refuses every name, kind and layout that is not plain;
//! [`Archive::contents`] then inflates everything once, counting, so that an archive which passed holds what it says.
//! Extraction goes through the same code with the same bounds, so the two cannot disagree.
//!
//! Two conveniences, both visible in the file list: when one folder holds everything and the compose file, as when a
//! folder itself was zipped, that folder is taken for the root; and `__MACOSX/`, where a Mac keeps attributes that
//! no other system reads, is no part of the bundle.

mod directory;
mod end;
mod entry;
pub mod names;
mod root;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::blob::archive::directory::{Entry, broken};
use crate::blob::archive::names::{Tree, refuse};
use crate::blob::disk_error;
use crate::domain::bundle::BundleFile;
use crate::domain::{Error, Result};

/// Bytes of a text file that the server reads whole: compose file, `.env`, `env_file`.
pub const LARGEST_TEXT: u64 = 1 << 20;

/// What one archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files and folders.
    pub entries: usize,
    /// Bytes of all files together, inflated.
    pub inflated: u64,
    /// How many times its packed size an entry of more than 10 MiB may inflate to.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 20_000, inflated: 8 << 30, ratio: 200 }
    }
}

/// What an archive was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// By path.
    pub files: Vec<BundleFile>,
    pub compose: TextFile,
    /// The text of `.env` at the root, which gives the compose file's variables.
    pub env: Option<String>,
}

/// A file of the bundle with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    pub path: String,
    pub text: String,
}

/// An open archive whose directory is sound.
#[derive(Debug)]
pub struct Archive {
    file: File,
    /// Files alone, each with where its packed bytes lie, in the order of the file.
    members: Vec<Member>,
    limits: Limits,
    compose: String,
}

#[derive(Debug)]
struct Member {
    /// Path in the bundle, below the root.
    path: String,
    entry: Entry,
    data: (u64, u64),
}

impl Archive {
    /// Reads the directory of `file`. Nothing is inflated yet.
    pub fn open(file: File, limits: Limits) -> Result<Self> {
        let directory = end::find_directory(&file)?;
        let mut entries = directory.entries(&file, limits.entries)?;
        let mut tree = Tree::new(limits.entries);
        for entry in &entries {
            tree.add(&entry.name, entry.folder)?;
        }
        entries.sort_by_key(|entry| entry.offset);
        let places = places(&file, &entries, directory.start)?;
        let root = root::find(&entries)?;
        let members = entries
            .into_iter()
            .zip(places)
            .filter(|(entry, _)| !entry.folder && !root::is_foreign(&entry.name))
            .map(|(entry, data)| Member { path: root.strip(&entry.name), entry, data })
            .collect();
        let archive = Self { file, members, limits, compose: root.compose };
        archive.refuse_large()?;
        Ok(archive)
    }

    /// What the headers admit to is refused before anything is inflated; what they hide is caught by the count.
    fn refuse_large(&self) -> Result<()> {
        let total = self.members.iter().try_fold(0u64, |sum, member| sum.checked_add(member.entry.size));
        if total.is_none_or(|total| total > self.limits.inflated) {
            let most = crate::blob::upload::human(self.limits.inflated);
            return Err(Error::invalid(
                "archive_refused",
                format!("the archive inflates to more than {most}"),
            )
            .hint(
                "Leave out what a volume or an image can hold, or have an administrator raise the limit.",
            ));
        }
        Ok(())
    }

    /// Inflates everything once, and returns what it is.
    pub fn contents(&self) -> Result<Contents> {
        let mut left = self.limits.inflated;
        let mut files = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let sha256 = self.copy(member, &mut left, &mut io::sink())?;
            files.push(BundleFile {
                path: member.path.clone(),
                size: member.entry.size,
                sha256,
                executable: member.entry.executable,
            });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let text = self.read_text(&self.compose)?;
        let env = self.find(".env").map(|_| self.read_text(".env")).transpose()?;
        Ok(Contents { files, compose: TextFile { path: self.compose.clone(), text }, env })
    }

    /// The text of one file of the bundle, of [`LARGEST_TEXT`] bytes at most.
    pub fn read_text(&self, path: &str) -> Result<String> {
        let member = self.find(path).ok_or_else(|| Error::not_found("bundle file", path))?;
        if member.entry.size > LARGEST_TEXT {
            return Err(refuse(
                path,
                "the file is larger than 1 MiB",
                "Only small text files are read by the server.",
            ));
        }
        let mut bytes = Vec::new();
        self.copy(member, &mut LARGEST_TEXT.clone(), &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| refuse(path, "the file is not UTF-8 text", "Save it as UTF-8."))
    }

    /// Writes every file below `folder`, which is empty and nobody else's. Nothing that exists is opened or followed.
    pub fn extract(&self, folder: &Path) -> Result<()> {
        let mut left = self.limits.inflated;
        for member in &self.members {
            let target = folder.join(&member.path);
            if let Some(parent) = target.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(disk_error)?;
            }
            let mode = if member.entry.executable { 0o755 } else { 0o644 };
            let options = File::options().write(true).create_new(true).mode(mode).clone();
            let mut out = options.open(target).map_err(disk_error)?;
            self.copy(member, &mut left, &mut out)?;
        }
        Ok(())
    }

    fn find(&self, path: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.path == path)
    }

    fn copy(
        &self,
        member: &Member,
        left: &mut u64,
        out: &mut impl io::Write,
    ) -> Result<crate::domain::bundle::Digest> {
        entry::copy(&self.file, &member.entry, member.data, left, self.limits.ratio, out)
    }
}

/// Where each entry's packed bytes lie; two that share a byte are refused, since that is how small archives inflate
/// to petabytes. `entries` are in the order of the file.
fn places(file: &File, entries: &[Entry], directory_start: u64) -> Result<Vec<(u64, u64)>> {
    let mut places = Vec::with_capacity(entries.len());
    let mut free_from = 0;
    for entry in entries {
        if entry.offset < free_from {
            return Err(broken(format!("the archive's entry {:?} overlaps another", entry.name)));
        }
        let place = entry::locate(file, entry, directory_start)?;
        free_from = place.1;
        places.push(place);
    }
    Ok(places)
}
