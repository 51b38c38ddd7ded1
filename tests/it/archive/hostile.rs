//! What enemies, and broken tools, make.

use proptest::prelude::*;

use super::*;

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
    let latin = Raw { name: b"caf\xe9".to_vec(), ..Raw::stored("", b"x") };
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
        let said = refusal(&with(Raw { mode, ..Raw::stored("x", b"/etc/passwd") })).await;
        assert!(said.contains(why), "{mode:o}: {said}");
    }
    let folder = Raw { mode: 0o040_755, ..Raw::stored("d/", b"bytes") };
    assert!(refusal(&with(folder)).await.contains("a folder holds bytes"));
}

#[tokio::test]
async fn what_cannot_be_unpacked_is_said_by_name() {
    let encrypted = Raw { flags: 1, ..Raw::stored("x", b"x") };
    assert!(refusal(&with(encrypted)).await.contains("without a password"));
    for (method, why) in [(12, "bzip2"), (14, "LZMA"), (93, "Zstandard"), (99, "AES"), (7, "method 7")] {
        let said = refusal(&with(Raw { method, ..Raw::stored("x", b"x") })).await;
        assert!(said.contains(why) && said.contains("deflate"), "{said}");
    }
}

#[tokio::test]
async fn headers_that_lie_are_caught_while_inflating() {
    let honest = Raw::deflated("data", &[b'a'; 5_000]);
    let lies = [
        (Raw { size: 4_999, ..honest.clone() }, "longer than the archive says"),
        (Raw { size: 5_001, ..honest.clone() }, "shorter than the archive says"),
        (Raw { crc32: 1, ..honest.clone() }, "checksum"),
        (Raw { packed: [honest.packed.as_slice(), b"more"].concat(), ..honest.clone() }, "left over"),
        (Raw { packed: vec![0xff; 40], ..honest.clone() }, "damaged"),
        (Raw { packed: honest.packed[..honest.packed.len() - 4].to_vec(), ..honest.clone() }, "damaged"),
        (Raw { local_name: Some(b"evil".to_vec()), ..honest.clone() }, "differs"),
        (Raw { size: 3, ..Raw::stored("data", b"four") }, "two sizes"),
        (Raw { offset: Some(0), ..honest.clone() }, "overlaps"),
        (Raw { offset: Some(u32::MAX - 1), ..honest.clone() }, "cut short"),
    ];
    for (lie, why) in lies {
        let said = refusal(&with(lie)).await;
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let zeros = vec![0; 12 << 20];
    assert!(refusal(&with(Raw::deflated("zeros", &zeros))).await.contains("zip bomb"));
    let total = Limits { inflated: 1 << 20, ..Limits::default() };
    let honest = with(Raw::deflated("zeros", &zeros[..2 << 20]));
    assert!(refusal_within(&honest, total).await.contains("inflates to more than 1 MiB"));
    // The same with headers that admit to less: caught by the count.
    let lying = with(Raw { size: 1 << 19, ..Raw::deflated("zeros", &zeros[..2 << 20]) });
    assert!(refusal_within(&lying, total).await.contains("longer than the archive says"));
    // One kernel of packed bytes under many names, as in the overlapping bombs.
    let kernel = Raw::deflated("a0", &zeros[..1 << 20]);
    let mut entries = vec![Raw::compose(), kernel.clone()];
    let offset = Some(raw_zip(&entries[..1]).len() as u32 - 22 - 46 - 12);
    entries.extend((1..100).map(|at| Raw { name: format!("a{at}").into(), offset, ..kernel.clone() }));
    assert!(refusal(&raw_zip(&entries)).await.contains("overlaps"));
}

#[tokio::test]
async fn the_number_of_entries_is_bounded_before_they_are_read() {
    let few = Limits { entries: 3, ..Limits::default() };
    let names = ["a", "b", "c"].map(|name| Raw::stored(name, b""));
    let many = raw_zip(&[vec![Raw::compose()], names.to_vec()].concat());
    assert!(refusal_within(&many, few).await.contains("4 entries, more than the 3"));
    let deep = with(Raw::stored("a/b/c/d/e", b""));
    assert!(refusal_within(&deep, few).await.contains("more than 3 files and folders"));
}

#[tokio::test]
async fn crooked_layouts_are_refused() {
    let good = with(Raw::stored("a", b"x"));
    let end = good.len() - 22;
    assert!(refusal(b"").await.contains("not a complete zip"));
    assert!(refusal(b"PK\x05\x06").await.contains("not a complete zip"));
    assert!(refusal(&good[..good.len() - 1]).await.contains("not a complete zip"));
    assert!(refusal(&[&good[..], b"x"].concat()).await.contains("not a complete zip"));
    assert!(refusal(&[b"#!/bin/sh\n", &good[..]].concat()).await.contains("belong to nothing"));
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
async fn wide_sizes_that_lie_are_caught() {
    let honest = Raw { wide: Some((1, 1)), ..Raw::stored("a", b"x") };
    let data = tempfile::tempdir().unwrap();
    let good = with(honest.clone());
    ingest(data.path(), &good, Limits::default()).await.expect("the lies are made of what is read");
    let most = u64::MAX;
    for wide in
        [(most, 1), (1, most), (most, most), (2, 2), (0, 1), (1, 0), (1 << 40, 1 << 40), (most - 1, most - 2)]
    {
        assert!(!refusal(&with(Raw { wide: Some(wide), ..honest.clone() })).await.is_empty(), "{wide:?}");
    }
    let packed = Raw::deflated("zeros", &[0; 5_000]);
    let length = packed.packed.len() as u64;
    for size in [0, 4_999, 5_001, 1 << 33, most] {
        let lie = Raw { wide: Some((size, length)), ..packed.clone() };
        assert!(!refusal(&with(lie)).await.is_empty(), "{size}");
    }
}

#[tokio::test]
async fn wide_ends_that_lie_are_caught() {
    let good = with(Raw::stored("a", b"x"));
    let data = tempfile::tempdir().unwrap();
    let wide = with_end64(&good, |_| {}, 0);
    ingest(data.path(), &wide, Limits::default()).await.expect("the lies are made of what is read");
    type Lie = fn(&mut End64);
    let lies: [Lie; 10] = [
        |says| says[0] = 1,
        |says| says[1] = 1,
        |says| (says[0], says[1]) = (1, 1),
        |says| (says[0], says[1]) = (3, 3),
        |says| (says[0], says[1]) = (u64::MAX, u64::MAX),
        |says| says[2] += 1,
        |says| says[2] = u64::MAX,
        |says| says[3] += 1,
        |says| says[3] = u64::MAX,
        |says| (says[2], says[3]) = (u64::MAX, 1),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        assert!(!refusal(&with_end64(&good, lie, 0)).await.is_empty(), "{number}");
    }
    for at in [1, 10, 1 << 40, u64::MAX, u64::MAX - 60] {
        assert!(refusal(&with_end64(&good, |_| {}, at)).await.contains("zip64"), "{at}");
    }
}

#[tokio::test]
async fn what_is_refused_is_refused_soon() {
    let zeros = Raw::deflated("zeros", &vec![0; 64 << 20]);
    let names: Vec<Raw> =
        (0..60_000).map(|at| Raw::stored(&format!("d{at}/{}", "x/".repeat(20)), b"")).collect();
    let lying = Raw { size: 1, ..zeros.clone() };
    for (what, archive) in
        [("a bomb", with(zeros)), ("many names", raw_zip(&names)), ("a lying bomb", with(lying))]
    {
        let begun = std::time::Instant::now();
        refusal(&archive).await;
        // Debug builds on a busy machine; the point is that it does not grow with what is claimed.
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{what} took {:?}", begun.elapsed());
    }
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
