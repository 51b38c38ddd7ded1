//! Bundles' archives as friends and enemies make them: what is plain passes whoever zipped it, everything else is
//! refused with its reason, and nothing is ever written outside.

mod hostile;
mod raw;
mod store;

use std::io::Write as _;
use std::path::Path;

use raw::{End64, Raw, raw_zip, with_end64};
use slipway::blob::{Contents, Limits, Store};
use slipway::domain::{Kind, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const COMPOSE: &str = "services: {}\n";

/// Uploads `bytes` in uneven pieces, inspects and keeps them, and unpacks what was kept.
async fn ingest(data: &Path, bytes: &[u8], limits: Limits) -> Result<(Contents, std::path::PathBuf)> {
    let store = Store::open(data).await?;
    let mut upload = store.begin(1 << 30).await?;
    for piece in bytes.chunks(70_001) {
        upload.write(piece).await?;
    }
    let staged = upload.finish().await?;
    let inspected = staged.inspect(limits).await?;
    let blob = store.commit(staged).await?;
    let folder = store.unpack(&blob.digest, limits).await?;
    Ok((inspected.contents, folder))
}

/// Why the archive is refused; fails when it is not, or when anything but the data directory was touched.
async fn refusal(bytes: &[u8]) -> String {
    refusal_within(bytes, Limits::default()).await
}

async fn refusal_within(bytes: &[u8], limits: Limits) -> String {
    let outer = tempfile::tempdir().unwrap();
    let data = outer.path().join("data");
    let error = ingest(&data, bytes, limits).await.expect_err("the archive is refused");
    assert_eq!(error.kind, Kind::Invalid, "{error}");
    assert_eq!(written(outer.path()), Vec::<String>::new(), "{error}");
    error.to_string()
}

/// Every file below `folder`, by its path.
fn written(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// An archive by the zip crate.
fn zip(files: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        if let Some(folder) = name.strip_suffix('/') {
            writer.add_directory(folder, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

/// The same written to a pipe: sizes and checksums follow the data instead of standing before it.
fn streamed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new_stream(Vec::new());
    for (name, content) in files.iter().filter(|(name, _)| !name.ends_with('/')) {
        writer.start_file(*name, deflated()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

/// The compose file and one more.
fn with(raw: Raw) -> Vec<u8> {
    raw_zip(&[Raw::compose(), raw])
}

#[tokio::test]
async fn what_common_tools_make_is_read_and_unpacked() {
    let files: &[(&str, &[u8])] = &[
        ("compose.yaml", COMPOSE.as_bytes()),
        (".env", b"A=1\n"),
        ("api/", b""),
        ("api/app.py", b"print('hello')\n"),
        ("модель.bin", &[7; 100_000]),
        ("empty", b""),
    ];
    let options = [deflated(), stored(), deflated().large_file(true), stored().unix_permissions(0o755)];
    let archives = options.into_iter().map(|options| zip(files, options));
    for archive in archives.chain([streamed(files)]) {
        let data = tempfile::tempdir().unwrap();
        let (contents, folder) = ingest(data.path(), &archive, Limits::default()).await.unwrap();
        let paths: Vec<&str> = contents.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, [".env", "api/app.py", "compose.yaml", "empty", "модель.bin"]);
        assert_eq!((contents.compose.text.as_str(), contents.env.as_deref()), (COMPOSE, Some("A=1\n")));
        assert_eq!(std::fs::read(folder.join("модель.bin")).unwrap(), [7; 100_000]);
        assert_eq!(written(&folder), paths);
        for file in &contents.files {
            let content = std::fs::read(folder.join(&file.path)).unwrap();
            assert_eq!(file.sha256, slipway::domain::bundle::Digest::of(&content));
            assert_eq!(file.size, content.len() as u64);
        }
    }
}

#[tokio::test]
async fn executables_stay_executable_and_nothing_else_of_their_mode_does() {
    use std::os::unix::fs::PermissionsExt as _;
    let run = Raw { mode: 0o104_777, ..Raw::stored("run.sh", b"#!/bin/sh\n") };
    let data = tempfile::tempdir().unwrap();
    let (contents, folder) = ingest(data.path(), &with(run), Limits::default()).await.unwrap();
    assert_eq!(contents.files.iter().map(|file| file.executable).collect::<Vec<_>>(), [false, true]);
    let mode = |name: &str| std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("run.sh") & 0o7111, mode("compose.yaml") & 0o7111), (0o111, 0));
}

#[tokio::test]
async fn a_zipped_folder_is_taken_for_the_root() {
    let files: &[(&str, &[u8])] = &[
        ("iris/", b""),
        ("iris/compose.yml", COMPOSE.as_bytes()),
        ("iris/api/app.py", b"x"),
        ("__MACOSX/iris/._compose.yml", b"attributes"),
    ];
    let data = tempfile::tempdir().unwrap();
    let (contents, folder) = ingest(data.path(), &zip(files, deflated()), Limits::default()).await.unwrap();
    assert_eq!(contents.compose.path, "compose.yml");
    assert_eq!(written(&folder), ["api/app.py", "compose.yml"]);
}
