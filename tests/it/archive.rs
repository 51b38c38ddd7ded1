//! Bundles' archives as friends and enemies make them: what is plain passes whoever zipped it, everything else is
//! refused with its reason, and nothing is ever written outside.

use std::io::Write as _;
use std::path::Path;

use proptest::prelude::*;
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
    let error = ingest(&data, bytes, limits)
        .await
        .expect_err("the archive is refused");
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
                found.push(
                    entry
                        .path()
                        .strip_prefix(folder)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
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

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

/// One entry of a hand-made archive, its headers open to any lie.
#[derive(Clone)]
struct Raw {
    name: Vec<u8>,
    /// The name in the local header, when it differs.
    local_name: Option<Vec<u8>>,
    packed: Vec<u8>,
    size: u32,
    crc32: u32,
    method: u16,
    flags: u16,
    mode: u32,
    /// Where the directory says it stands, when that is a lie.
    offset: Option<u32>,
}

impl Raw {
    fn stored(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.into(),
            local_name: None,
            packed: content.to_vec(),
            size: content.len() as u32,
            crc32: crc32fast::hash(content),
            method: 0,
            flags: 1 << 11,
            mode: 0o100_644,
            offset: None,
        }
    }

    fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        Self {
            packed: encoder.finish().unwrap(),
            method: 8,
            ..Self::stored(name, content)
        }
    }

    fn compose() -> Self {
        Self::stored("compose.yaml", COMPOSE.as_bytes())
    }
}

fn raw_zip(entries: &[Raw]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for raw in entries {
        let offset = raw.offset.unwrap_or(out.len() as u32);
        let name = raw.local_name.as_ref().unwrap_or(&raw.name);
        let common = |name: &[u8]| {
            let mut bytes = Vec::new();
            bytes.extend([20, 0]);
            bytes.extend(raw.flags.to_le_bytes());
            bytes.extend(raw.method.to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(raw.crc32.to_le_bytes());
            bytes.extend((raw.packed.len() as u32).to_le_bytes());
            bytes.extend(raw.size.to_le_bytes());
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend([0; 2]);
            bytes
        };
        out.extend(b"PK\x03\x04");
        out.extend(common(name));
        out.extend(name);
        out.extend(&raw.packed);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(common(&raw.name));
        directory.extend([0; 6]);
        directory.extend((raw.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&raw.name);
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
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
    for options in [
        deflated(),
        stored(),
        deflated().large_file(true),
        stored().unix_permissions(0o755),
    ] {
        let data = tempfile::tempdir().unwrap();
        let (contents, folder) = ingest(data.path(), &zip(files, options), Limits::default())
            .await
            .unwrap();
        let paths: Vec<&str> = contents.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            [".env", "api/app.py", "compose.yaml", "empty", "модель.bin"]
        );
        assert_eq!(
            (contents.compose.text.as_str(), contents.env.as_deref()),
            (COMPOSE, Some("A=1\n"))
        );
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
    let run = Raw {
        mode: 0o104_777,
        ..Raw::stored("run.sh", b"#!/bin/sh\n")
    };
    let data = tempfile::tempdir().unwrap();
    let (contents, folder) = ingest(data.path(), &with(run), Limits::default()).await.unwrap();
    assert_eq!(
        contents
            .files
            .iter()
            .map(|file| file.executable)
            .collect::<Vec<_>>(),
        [false, true]
    );
    let mode = |name: &str| std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode("run.sh") & 0o7111, mode("compose.yaml") & 0o7111),
        (0o111, 0)
    );
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
    let (contents, folder) = ingest(data.path(), &zip(files, deflated()), Limits::default())
        .await
        .unwrap();
    assert_eq!(contents.compose.path, "compose.yml");
    assert_eq!(written(&folder), ["api/app.py", "compose.yml"]);
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    for (name, why) in [
        ("../evil", "leads out"),
        ("a/../../evil", "leads out"),
        ("/etc/cron.d/evil", "absolute"),
        ("C:/evil", "absolute"),
        ("a\\..\\evil", "backslash"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("./a", "empty or `.`"),
        ("a//b", "empty or `.`"),
        ("", "without a name"),
        ("compose.yaml", "twice"),
        ("Compose.yaml", "only in case"),
        ("compose.yaml/a", "both a file and a folder"),
        ("__MACOSX/../../evil", "leads out"),
    ] {
        let said = refusal(&with(Raw::stored(name, b"x"))).await;
        assert!(said.contains(why), "{name:?}: {said}");
    }
    let long = refusal(&with(Raw::stored(&"d/".repeat(512), b""))).await;
    assert!(long.contains("deeper") || long.contains("longer"), "{long}");
    let latin = Raw {
        name: b"caf\xe9".to_vec(),
        ..Raw::stored("", b"x")
    };
    assert!(refusal(&with(latin)).await.contains("not UTF-8"));
}

#[tokio::test]
async fn only_files_and_folders_are_taken() {
    for (mode, why) in [
        (0o120_777, "symbolic link"),
        (0o010_644, "device, pipe or socket"),
        (0o020_644, "device, pipe or socket"),
        (0o060_644, "device, pipe or socket"),
        (0o140_644, "device, pipe or socket"),
        (0o040_755, "both a file and a folder"),
    ] {
        let said = refusal(&with(Raw {
            mode,
            ..Raw::stored("x", b"/etc/passwd")
        }))
        .await;
        assert!(said.contains(why), "{mode:o}: {said}");
    }
    let folder = Raw {
        mode: 0o040_755,
        ..Raw::stored("d/", b"bytes")
    };
    assert!(refusal(&with(folder)).await.contains("a folder holds bytes"));
}

#[tokio::test]
async fn what_cannot_be_unpacked_is_said_by_name() {
    let encrypted = Raw {
        flags: 1,
        ..Raw::stored("x", b"x")
    };
    assert!(refusal(&with(encrypted)).await.contains("without a password"));
    for (method, why) in [
        (12, "bzip2"),
        (14, "LZMA"),
        (93, "Zstandard"),
        (99, "AES"),
        (7, "method 7"),
    ] {
        let said = refusal(&with(Raw {
            method,
            ..Raw::stored("x", b"x")
        }))
        .await;
        assert!(said.contains(why) && said.contains("deflate"), "{said}");
    }
}

#[tokio::test]
async fn headers_that_lie_are_caught_while_inflating() {
    let honest = Raw::deflated("data", &[b'a'; 5_000]);
    let lies = [
        (
            Raw {
                size: 4_999,
                ..honest.clone()
            },
            "longer than the archive says",
        ),
        (
            Raw {
                size: 5_001,
                ..honest.clone()
            },
            "shorter than the archive says",
        ),
        (
            Raw {
                crc32: 1,
                ..honest.clone()
            },
            "checksum",
        ),
        (
            Raw {
                packed: [honest.packed.as_slice(), b"more"].concat(),
                ..honest.clone()
            },
            "left over",
        ),
        (
            Raw {
                packed: vec![0xff; 40],
                ..honest.clone()
            },
            "damaged",
        ),
        (
            Raw {
                packed: honest.packed[..honest.packed.len() - 4].to_vec(),
                ..honest.clone()
            },
            "damaged",
        ),
        (
            Raw {
                local_name: Some(b"evil".to_vec()),
                ..honest.clone()
            },
            "differs",
        ),
        (
            Raw {
                size: 3,
                ..Raw::stored("data", b"four")
            },
            "two sizes",
        ),
        (
            Raw {
                offset: Some(0),
                ..honest.clone()
            },
            "overlaps",
        ),
        (
            Raw {
                offset: Some(u32::MAX - 1),
                ..honest.clone()
            },
            "cut short",
        ),
    ];
    for (lie, why) in lies {
        let said = refusal(&with(lie)).await;
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let zeros = vec![0; 12 << 20];
    assert!(
        refusal(&with(Raw::deflated("zeros", &zeros)))
            .await
            .contains("zip bomb")
    );
    let total = Limits {
        inflated: 1 << 20,
        ..Limits::default()
    };
    let honest = with(Raw::deflated("zeros", &zeros[..2 << 20]));
    assert!(
        refusal_within(&honest, total)
            .await
            .contains("inflates to more than 1 MiB")
    );
    // The same with headers that admit to less: caught by the count.
    let lying = with(Raw {
        size: 1 << 19,
        ..Raw::deflated("zeros", &zeros[..2 << 20])
    });
    assert!(
        refusal_within(&lying, total)
            .await
            .contains("longer than the archive says")
    );
    // One kernel of packed bytes under many names, as in the overlapping bombs.
    let kernel = Raw::deflated("a0", &zeros[..1 << 20]);
    let mut entries = vec![Raw::compose(), kernel.clone()];
    let offset = Some(raw_zip(&entries[..1]).len() as u32 - 22 - 46 - 12);
    entries.extend((1..100).map(|at| Raw {
        name: format!("a{at}").into(),
        offset,
        ..kernel.clone()
    }));
    assert!(refusal(&raw_zip(&entries)).await.contains("overlaps"));
}

#[tokio::test]
async fn the_number_of_entries_is_bounded_before_they_are_read() {
    let few = Limits {
        entries: 3,
        ..Limits::default()
    };
    let names = ["a", "b", "c"].map(|name| Raw::stored(name, b""));
    let many = raw_zip(&[vec![Raw::compose()], names.to_vec()].concat());
    assert!(
        refusal_within(&many, few)
            .await
            .contains("4 entries, more than the 3")
    );
    let deep = with(Raw::stored("a/b/c/d/e", b""));
    assert!(
        refusal_within(&deep, few)
            .await
            .contains("more than 3 files and folders")
    );
}

#[tokio::test]
async fn crooked_layouts_are_refused() {
    let good = with(Raw::stored("a", b"x"));
    let end = good.len() - 22;
    assert!(refusal(b"").await.contains("not a complete zip"));
    assert!(refusal(b"PK\x05\x06").await.contains("not a complete zip"));
    assert!(
        refusal(&good[..good.len() - 1])
            .await
            .contains("not a complete zip")
    );
    assert!(
        refusal(&[&good[..], b"x"].concat())
            .await
            .contains("not a complete zip")
    );
    assert!(
        refusal(&[b"#!/bin/sh\n", &good[..]].concat())
            .await
            .contains("belong to nothing")
    );
    // A second end record inside the comment of the first.
    let mut nested = good.clone();
    nested[end + 20] = 22;
    nested.extend_from_slice(&good[end..]);
    assert!(refusal(&nested).await.contains("two archives"));
    let mut split = good.clone();
    split[end + 4] = 1;
    assert!(refusal(&split).await.contains("one part of several"));
    let mut fewer = good.clone();
    (fewer[end + 8], fewer[end + 10]) = (1, 1);
    assert!(refusal(&fewer).await.contains("more than it counts"));
}

#[tokio::test]
async fn uploads_are_bounded_and_leave_nothing() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).await.unwrap();
    let mut upload = store.begin(10).await.unwrap();
    upload.write(&[1; 10]).await.unwrap();
    assert_eq!(upload.write(&[1]).await.unwrap_err().kind, Kind::TooLarge);
    drop(upload);
    assert_eq!(written(data.path()), Vec::<String>::new());
}

#[tokio::test]
async fn blobs_are_kept_once_listed_read_and_deleted() {
    use tokio::io::AsyncReadExt as _;
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).await.unwrap();
    let bytes = with(Raw::stored("a/b", b"content"));
    let mut digests = Vec::new();
    for _ in 0..2 {
        let mut upload = store.begin(1 << 20).await.unwrap();
        upload.write(&bytes).await.unwrap();
        digests.push(store.commit(upload.finish().await.unwrap()).await.unwrap());
    }
    assert_eq!(store.list().await.unwrap(), digests[..1]);
    let digest = &digests[0].digest;
    let mut read = Vec::new();
    store
        .open_blob(digest)
        .await
        .unwrap()
        .read_to_end(&mut read)
        .await
        .unwrap();
    assert_eq!(read, bytes);

    let limits = Limits::default();
    assert_eq!(store.read_file(digest, "a/b", limits).await.unwrap(), b"content");
    for absent in ["a", "a/c", "a/b/c"] {
        assert_eq!(
            store.read_file(digest, absent, limits).await.unwrap_err().kind,
            Kind::NotFound,
            "{absent}"
        );
    }
    assert_eq!(
        store
            .read_file(digest, "../../blobs/x", limits)
            .await
            .unwrap_err()
            .kind,
        Kind::Invalid
    );

    store.delete(digest).await.unwrap();
    store.delete(digest).await.unwrap();
    assert_eq!(store.open_blob(digest).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(
        store.unpack(digest, limits).await.unwrap_err().kind,
        Kind::NotFound
    );
    assert_eq!(written(data.path()), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_interrupted_is_never_taken_for_complete() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).await.unwrap();
    let mut upload = store.begin(1 << 20).await.unwrap();
    upload.write(&with(Raw::stored("a", b"x"))).await.unwrap();
    let blob = store.commit(upload.finish().await.unwrap()).await.unwrap();
    // As a kill would leave them: half an upload, half an unpacking.
    std::fs::write(data.path().join("blobs/tmp/half"), b"PK").unwrap();
    std::fs::create_dir_all(data.path().join("unpacked/tmp/half")).unwrap();
    std::fs::write(data.path().join("unpacked/tmp/half/compose.yaml"), b"ser").unwrap();

    let store = Store::open(data.path()).await.unwrap();
    store.sweep().await.unwrap();
    assert_eq!(written(data.path()), [format!("blobs/{}", blob.digest)]);
    let all =
        futures_util::future::join_all((0..8).map(|_| store.unpack(&blob.digest, Limits::default()))).await;
    let folder = all.into_iter().map(Result::unwrap).next().unwrap();
    assert_eq!(written(&folder), ["a", "compose.yaml"]);
    assert_eq!(written(&data.path().join("unpacked/tmp")), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A valid archive with random bytes changed, cut or doubled: read or refused, never a panic, nothing outside.
    #[test]
    fn mutated_archives_neither_panic_nor_escape(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        large in any::<bool>(),
    ) {
        let files: &[(&str, &[u8])] =
            &[("compose.yaml", COMPOSE.as_bytes()), ("a/../b", b""), ("a/", b""), ("a/b", &[b'x'; 3_000])];
        let files: Vec<_> = files.iter().copied().filter(|(name, _)| !name.contains("..")).collect();
        let mut bytes = zip(&files, deflated().large_file(large));
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let outer = tempfile::tempdir().unwrap();
        let data = outer.path().join("data");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(ingest(&data, &bytes, Limits::default()));
        if let Err(error) = &result {
            prop_assert!(error.kind == Kind::Invalid, "{error:?}");
        }
        for path in written(outer.path()) {
            prop_assert!(path.starts_with("data/blobs/") || path.starts_with("data/unpacked/"), "{path}");
        }
    }
}
